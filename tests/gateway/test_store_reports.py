"""Reports and orders on both databases: who comes second is told, and nothing is there twice."""

from __future__ import annotations

import itertools

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, func, insert, select

from appliance.registration.catalogue import load_catalogue
from central.fhir.ordering import read_request
from central.reading.desk import Written, finish, identity_of
from central.reading.model import Author, Content
from central.review.follow import refresh
from central.review.pages.fhir import place
from central.store import records, reports
from central.store.answers import answers_to
from central.store.database import Database
from central.store.report_tables import report_version
from central.store.reports import Conflict, ReportRow
from central.store.reviewing import study_row
from central.store.tables import study
from central.store.units import add_unit
from tests.gateway.test_store import AT, at_once, database, postgres, url
from tests.review.test_fhir import ORDER

__all__ = ["database", "postgres", "url"]
UID, UNIT = "1.2.3", "00000000-0000-0000-0000-000000000001"
KEY = Ed25519PrivateKey.generate()


def test_of_readers_that_sign_at_once_one_does_and_the_others_are_told(database: Database) -> None:
    with database.write() as connection:
        add_unit(connection, UNIT, "van-1", b"", AT)
        told = {"unit_id": UNIT, "study_instance_uid": UID, "revision": 1, "priority": "routine", "changed_at": AT}
        told |= {"expected_instance_count": 1, "info": '{"patient_id":"P-1"}', "announced_at": AT}
        connection.execute(insert(study).values(**told))
        refresh(connection, [UID])
        shown = study_row(connection, UID)
        assert shown is not None
    numbers = itertools.count()

    def sign(connection: Connection) -> ReportRow | Conflict:
        who = Author(account=f"reader-{next(numbers)}", name="Dr")
        content = Content(template="general", language="en", impression=f"By {who.account}.")
        written = Written(UID, 0, identity_of(shown), content, True)
        try:
            return finish(connection, written, who, KEY, AT, "centre")[0]
        except Conflict as conflict:
            return conflict

    results = at_once(database, 4, sign)
    (signed,) = [one for one in results if isinstance(one, ReportRow)]
    conflicts = [one for one in results if isinstance(one, Conflict)]
    assert len(conflicts) == 3 and {one.newest.author for one in conflicts} == {signed.author}
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(report_version)) == 1
        assert len(answers_to(connection, study_uid=UID)) == 1
        assert reports.unfiled(connection, 10) == [signed]
        for asked in (records.Asked(study_instance_uid=UID), records.Asked(patient_id="P-1", since=AT)):
            rows, total = records.signed_statements(connection, asked, 10)
            assert ([row.version for row in rows], total) == ([1], 1)
        assert records.studies(connection, records.Asked(patient_id="P-2"), 10) == ([], 0)
    with database.write() as connection:
        reports.note_not_filed(connection, signed, "away", refused=False)
        reports.note_filed(connection, signed, AT)
        assert reports.unfiled(connection, 10) == []


def test_order_that_is_posted_several_times_at_once_is_one(database: Database) -> None:
    with database.write() as connection:
        add_unit(connection, UNIT, "van-1", b"", AT)
    asked = read_request(msgspec.json.encode(ORDER), load_catalogue(""))
    results = at_once(database, 4, lambda connection: place(connection, asked, AT))
    assert sorted(results) == [False, False, False, True]
    with database.read() as connection:
        assert len(answers_to(connection, kind="order")) == 1
