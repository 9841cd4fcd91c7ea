"""How a day ended; what chance or the clock drew is replaced by its meaning, so that two days can be compared."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from typing import Any

import msgspec
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from appliance.store.connect import open_reader
from appliance.store.notes import study_facts
from sync.noting import study_notes
from sync.wire.notes import StudyNotes
from tests.integration.unit_day.arriving import COPY, NOTE, made_uids
from tests.integration.unit_day.day import Day
from tests.support.world import query

State = dict[str, Any]
_LATEST = """SELECT sha256 FROM revision AS r WHERE r.instance_id = i.instance_id AND r.undone_at = ''
    ORDER BY number DESC LIMIT 1"""


def final_state(day: Day) -> State:
    """Everything that people, devices and the centre can see of the day."""
    names = Names(day)
    unit, centre = day.stage.unit, day.stage.centre.centre
    held = {names.of(uid): (count, centre.file(uid)) for uid, count in centre.holdings().items()}
    stored = f"SELECT sop_instance_uid, coalesce(({_LATEST}), sha256) FROM instance AS i"
    owed = {names.of(uid): digest for uid, digest in unit.query(stored)}
    told = day.stage.at_centre("studies")["studies"]
    return {
        "refusal": day.refusal,
        "exceptions": unit.query("SELECT count(*) FROM study_match WHERE state = 'exception'"),
        "registrations": names.rows(unit.query("SELECT study_instance_uid, state, priority FROM registration")),
        "studies": names.rows(unit.query(_STUDIES)),
        "images": names.rows(unit.query(_IMAGES)),
        "steps": names.rows(unit.query(_STEPS)),
        "commitments": sorted(map(str, unit.query(_COMMITMENTS))),
        "corrections": names.rows(unit.query("SELECT study_instance_uid, kind, undone_at FROM correction")),
        "quarantine": names.rows(query(unit.config.door_db, _QUARANTINED)),
        "announced": sorted(
            (names.of(one["study_instance_uid"]), one["priority"], bool(one["all_verified_at"])) for one in told
        ),
        "notes": names.rows(_notes(day)),
        "files": {key: (count, hashlib.sha256(file).hexdigest() == owed[key]) for key, (count, file) in held.items()},
        "attributes": {key: names.attributes(file) for key, (_, file) in held.items()},
    }


def _notes(day: Day) -> list[tuple[object, ...]]:
    """What the centre was told of each study beside its images; compared with what the unit knows now."""
    toml, unit = day.stage.centre.centre.toml, day.stage.unit
    told = query(toml.parent / "centre" / "gateway.db", "SELECT study_instance_uid, notes FROM study_note")
    found: list[tuple[object, ...]] = []
    for uid, text in told:
        said = msgspec.json.decode(str(text), type=StudyNotes)
        with open_reader(unit.config.unit_db) as db:
            known = study_notes(study_facts(db, str(uid)), 0.0)
        assert msgspec.structs.replace(said, revision=0) == msgspec.structs.replace(known, revision=0)
        asked = said.asked.exam if said.asked else "nothing"
        found.append((uid, asked, said.checked_count, str([(one.code, one.image_count) for one in said.found])))
    return found


_STUDIES = """SELECT s.study_instance_uid, m.registration_key, m.state, m.how, m.exception, s.priority,
        c.state, c.reason
    FROM study AS s LEFT JOIN study_match AS m USING (study_instance_uid)
        LEFT JOIN study_completion AS c USING (study_instance_uid)"""
_IMAGES = """SELECT i.sop_instance_uid, i.study_instance_uid, i.local_state, o.state, o.stat,
        (SELECT reason_code FROM rejected_image AS x WHERE x.instance_id = i.instance_id AND lifted_at = ''),
        (SELECT count(*) FROM revision AS r WHERE r.instance_id = i.instance_id AND undone_at = ''),
        (SELECT count(*) FROM receipt AS p WHERE p.item_id = o.item_id AND revoked_at = ''),
        (SELECT group_concat(check_code) FROM (SELECT DISTINCT check_code FROM quality_finding AS f
            WHERE f.sop_instance_uid = i.sop_instance_uid AND cleared_at = '' ORDER BY 1))
    FROM instance AS i LEFT JOIN outbox AS o USING (instance_id)"""
_STEPS = """SELECT f.study_instance_uid, s.state, s.calling_ae_title, count(p.sop_instance_uid)
    FROM performed_step AS s JOIN performed_for AS f USING (step_uid) LEFT JOIN performed_instance AS p USING (step_uid)
    GROUP BY s.step_uid"""
_COMMITMENTS = """SELECT r.calling_ae_title, r.state, count(*), sum(p.failure_reason = 0)
    FROM commitment_request AS r JOIN commitment_reference AS p USING (request_id) GROUP BY r.request_id"""
_QUARANTINED = """SELECT DISTINCT sop_instance_uid, reason FROM quarantined
    WHERE reason NOT IN ('unacknowledged', 'torn')"""
"""Without what was written when Orthanc died, and never acknowledged: its device has sent it again."""


class Names:
    """What the day calls the numbers that it drew."""

    def __init__(self, day: Day) -> None:
        self._names: dict[str, str] = {}
        for key, answer in day.registered.items():
            row = answer["registration"]
            for field in ("study_instance_uid", "accession_number", "patient_id", "registration_key"):
                self._names[row[field]] = f"{field} of {key}"
            self._names[answer["patient_unit_id"]] = f"unit's number of {key}"
            if answer["registration"]["is_emergency"]:
                self._names[answer["registration"]["patient_name"]] = f"made-up name of {key}"
        for key, picture in day.pictures.items():
            self._names.setdefault(picture.sop_instance_uid, key)
            self._names.setdefault(picture.series_instance_uid, f"series of {key}")
        centre = day.stage.centre.centre
        for role, uid in made_uids(day).items():
            self._names[uid] = role
            if role in (COPY, NOTE):
                series = pydicom.dcmread(io.BytesIO(centre.file(uid)), stop_before_pixels=True).SeriesInstanceUID
                self._names[str(series)] = f"series of {role}"

    def of(self, value: object) -> str:
        return self._names.get(str(value), str(value))

    def rows(self, rows: Iterable[tuple[object, ...]]) -> list[tuple[str, ...]]:
        """Rows with names, in an order that chance has no part in."""
        return sorted(tuple(self.of(value) for value in row) for row in rows)

    def attributes(self, file: bytes) -> dict[str, Any]:
        """Everything in a file, without its meta information."""
        return self._of_data_set(pydicom.dcmread(io.BytesIO(file)))

    def _of_data_set(self, dataset: Dataset) -> dict[str, Any]:
        return {element.keyword or str(element.tag): self._value(element) for element in dataset}

    def _value(self, element: DataElement) -> Any:
        if element.VR == "SQ":
            return [self._of_data_set(item) for item in element.value]
        if isinstance(element.value, bytes):
            return hashlib.sha256(element.value).hexdigest()
        if element.VR in ("DA", "TM", "DT") and element.keyword != "PatientBirthDate":
            return "a time" if element.value else ""
        return self.of(element.value)
