"""Signed reports reach the PACS once each, through a PACS that is away, a gateway that is killed, and real Orthancs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from sqlalchemy import insert

from central.gateway.keys import load_keys
from central.reading import desk
from central.reading.desk import Written, identity_of
from central.reading.model import Author, Content, Status
from central.review.follow import refresh
from central.store import reports as rows
from central.store.opening import open_database
from central.store.report_tables import report_filing, report_version
from central.store.reports import FilingRow, ReportRow
from central.store.reviewing import study_row
from central.store.tables import study, unit
from tests.gateway.rig import Gateway, Pacs, make_gateway
from tests.support.orthancs import OrthancHandle, orthanc_commands
from tests.support.pacs import start_central, stored_file
from tests.support.ports import free_port
from tests.support.world import wait_for

AT = "2026-11-25T10:00:00.000Z"
UID = "1.2.826.0.1.3680043.8.498.77"
AMINA = Author(account="amina", name="Dr Amina")
INFO = '{"patient_name":"Diallo^Aïcha=ديالو^عائشة","patient_id":"P-7","modality":"DX","study_date":"20261125"}'


class Desk:
    """A reader in a process beside the gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.database = open_database(gateway.config)

    def announced(self, uid: str = UID) -> None:
        with self.database.write() as connection:
            first = {"unit_id": "u1", "name": "van-1", "public_key": b"", "enrolled_at": AT}
            if rows.newest(connection, uid) is None and connection.execute(unit.select()).first() is None:
                connection.execute(insert(unit).values(**first))
            told: dict[str, Any] = {"unit_id": "u1", "study_instance_uid": uid, "revision": 1, "priority": "routine"}
            told |= {"expected_instance_count": 1, "info": INFO, "announced_at": AT, "changed_at": AT}
            connection.execute(insert(study).values(**told))
            refresh(connection, [uid])

    def sign(self, impression: str, uid: str = UID, at: str = AT) -> ReportRow:
        with self.database.write() as connection:
            known, shown = rows.newest(connection, uid), study_row(connection, uid)
            assert shown is not None
            content = Content(template="general", language="fr", impression=impression, reason="Relu.")
            written = Written(uid, known.version if known else 0, identity_of(shown), content, True)
            key = load_keys(self.gateway.config.keys_dir).signing
            return desk.finish(connection, written, AMINA, key, at, "centre")[0]

    def filing(self, row: ReportRow) -> FilingRow:
        with self.database.read() as connection:
            return rows.filings(connection, row.study_instance_uid)[row.version]

    def wait_until_filed(self, row: ReportRow) -> None:
        wait_for(lambda: bool(self.filing(row).filed_at), f"{row.sop_instance_uid} to be filed")


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    made = Pacs()
    with made.peer:
        yield made


@pytest.fixture
def held(tmp_path: Path, pacs: Pacs) -> Iterator[Gateway]:
    made = make_gateway(tmp_path, pacs.peer.url)
    yield made
    if made.process is not None:
        made.stop()


def test_report_waits_for_the_pacs_and_survives_kills(held: Gateway, pacs: Pacs) -> None:
    desk_ = Desk(held)
    desk_.announced()
    pacs.away = True
    held.start()
    first = desk_.sign("Normal.")
    wait_for(lambda: "PACS away" in held.log_text(), "the first try")
    held.kill()
    second = desk_.sign("Nodule.")
    assert not desk_.filing(first).filed_at and pacs.held == {}
    pacs.away = False
    held.start()
    for row in (first, second):
        desk_.wait_until_filed(row)
    assert set(pacs.held) == {first.sop_instance_uid, second.sop_instance_uid}
    amended = dcmread(io.BytesIO(pacs.held[second.sop_instance_uid]))
    (series,) = amended.PredecessorDocumentsSequence[0].ReferencedSeriesSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.sop_instance_uid
    assert second.status == Status.AMENDED
    assert "Diallo" not in held.log_text() and "Amina" not in held.log_text()
    desk_.database.close()


def test_report_written_anew_by_a_restored_centre_is_another_document(held: Gateway, pacs: Pacs) -> None:
    """The PACS has one that the centre forgot: its number is not given a second time, to other words."""
    desk_ = Desk(held)
    desk_.announced()
    held.start()
    lost = desk_.sign("Normal.")
    desk_.wait_until_filed(lost)
    with desk_.database.write() as connection:
        for table in (report_version, report_filing):
            connection.execute(table.delete())
    anew = desk_.sign("Nodule.", at="2026-11-26T10:00:00.000Z")
    desk_.wait_until_filed(anew)
    assert set(pacs.held) == {lost.sop_instance_uid, anew.sop_instance_uid} and len(pacs.held) == 2
    desk_.database.close()


def test_document_that_the_pacs_refuses_waits_for_a_person_and_holds_up_no_other(held: Gateway, pacs: Pacs) -> None:
    desk_ = Desk(held)
    desk_.announced()
    desk_.announced(UID + ".1")
    refused, taken = desk_.sign("Normal."), desk_.sign("Normal.", UID + ".1")
    pacs.refuse[refused.sop_instance_uid] = 0x0122
    held.start()
    desk_.wait_until_filed(taken)
    wait_for(lambda: desk_.filing(refused).refused, "the refusal")
    assert desk_.filing(refused).problem and not desk_.filing(refused).filed_at
    desk_.database.close()


@pytest.fixture(params=orthanc_commands())
def orthanc(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OrthancHandle]:
    with start_central(str(request.param), tmp_path / "orthanc", free_port()) as started:
        yield started


@pytest.mark.orthanc
def test_real_orthanc_holds_what_was_signed(orthanc: OrthancHandle, tmp_path: Path) -> None:
    gateway = make_gateway(tmp_path / "gateway", f"{orthanc.url}/dicom-web")
    desk_ = Desk(gateway)
    desk_.announced()
    rows_ = [desk_.sign("Épanchement — انصباب."), desk_.sign("Non.")]
    gateway.start()
    try:
        for row in rows_:
            desk_.wait_until_filed(row)
    finally:
        gateway.stop()
        desk_.database.close()
    content = stored_file(orthanc, rows_[0].sop_instance_uid)
    assert content is not None
    read = dcmread(io.BytesIO(content))
    said = read.ContentSequence[-1].ContentSequence[0].TextValue
    assert (said, str(read.PatientName)) == ("Épanchement — انصباب.", "Diallo^Aïcha=ديالو^عائشة")
    assert len(orthanc.json("/studies")) == 1 and len(orthanc.json("/series")) == 2
