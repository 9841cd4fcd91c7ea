"""Exams of the day of which no picture has come yet, as lines of the list of studies."""

from __future__ import annotations

from appliance.domain.registration import OPEN_STATES
from appliance.domain.snapshot import StudyRow, StudyState
from appliance.domain.values import Priority
from appliance.store.connect import Store
from appliance.store.registrations import RegistrationRow, list_registrations


def expected_rows(db: Store, day: str, limit: int) -> tuple[StudyRow, ...]:
    """Those of ``day`` (``YYYYMMDD``) whose study is not on this unit, urgent ones first, then by time."""
    rows = list_registrations(db, from_date=day, to_date=day, states=OPEN_STATES, limit=limit)
    return tuple(_as_study(row) for row in rows if not row.has_images)


def _as_study(row: RegistrationRow) -> StudyRow:
    return StudyRow(
        study_instance_uid=row.study_instance_uid,
        patient_name=row.patient_name,
        patient_id=row.patient_id,
        patient_birth_date=row.patient_birth_date,
        patient_sex=row.patient_sex,
        accession_number=row.accession_number,
        study_date="",
        study_description=row.description,
        modality=row.modality,
        stat=row.priority == Priority.STAT,
        state=StudyState.REGISTERED,
        percent=0,
        instance_count=0,
        size_bytes=0,
        first_received_at=row.scheduled_at,
        last_received_at=row.scheduled_at,
        on_disk_count=0,
        progress=(),
    )
