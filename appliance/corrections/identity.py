"""What the pictures of a registration should say of the patient and the order."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.corrections.problems import ActionRefused
from appliance.domain.registration import Identifier, Patient, Registration
from appliance.registration.desk import find_person, shown_identifier
from appliance.registration.names import pn_utf8
from appliance.store.connect import Store
from appliance.store.patients import find_patient, standing_key
from appliance.store.registrations import find_registration, registrations_named

STUDY_COLUMNS = {
    "PatientName": "patient_name",
    "PatientID": "patient_id",
    "PatientBirthDate": "patient_birth_date",
    "PatientSex": "patient_sex",
    "AccessionNumber": "accession_number",
    "StudyDescription": "study_description",
}
"""Attributes that lists show, and where they stand."""
OF_THE_STUDY = (*STUDY_COLUMNS, "IssuerOfPatientID", "StudyID", "ReferringPhysicianName")
"""The same in every picture of a study: corrected in all of them or in none."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """A registration and the record that stands for its patient, after all merges."""

    registration: Registration
    patient: Patient


def belonging(db: Store, registration_key: str) -> Belonging:
    """A registration with its patient.

    Raises:
        ActionRefused: If there is none.
    """
    registration = find_registration(db, registration_key)
    patient = find_patient(db, standing_key(db, registration.patient_key)) if registration else None
    if registration is None or patient is None:
        raise ActionRefused("no-such-registration", "There is no such registration on this unit. Nothing was changed.")
    return Belonging(registration, patient)


def registration_named(db: Store, text: str) -> Belonging:
    """The one registration that a key, an accession number or its end, or a Study Instance UID names.

    Raises:
        ActionRefused: If none or several are.
    """
    found = registrations_named(db, text, 2)
    if not found:
        sentence = f"There is no registration {text!r} on this unit. Nothing was changed. 'qafila worklist' lists them."
        raise ActionRefused("no-such-registration", sentence)
    if len(found) > 1:
        sentence = f"{text!r} means more than one registration. Nothing was changed. Give more of the accession number."
        raise ActionRefused("ambiguous-registration", sentence)
    return belonging(db, found[0].registration_key)


def patient_named(db: Store, text: str) -> Patient:
    """The one standing record that a key or an identifier names.

    Raises:
        ActionRefused: If none or several are.
    """
    found = find_person(db, text)
    if len(found) != 1:
        code, what = ("ambiguous-patient", "more than one record") if found else ("no-such-patient", "nobody here")
        raise ActionRefused(code, f"{text!r} means {what}. Nothing was changed. 'qafila register --find' lists people.")
    return found[0]


def values_of(db: Store, whose: Belonging) -> dict[str, str]:
    """Attributes by keyword, as the worklist gave or would have given them."""
    patient, registration = whose.patient, whose.registration
    patient_id = _patient_id(db, whose)
    return {
        "PatientName": pn_utf8(patient.details.name),
        "PatientID": patient_id.value,
        "IssuerOfPatientID": patient_id.issuer,
        "PatientBirthDate": patient.details.birth_date,
        "PatientSex": str(patient.details.sex),
        "AccessionNumber": registration.accession_number,
    }


def _patient_id(db: Store, whose: Belonging) -> Identifier:
    """What this registration's console was told, as long as it is the standing patient's; else what it would be."""
    told = db.value(
        "SELECT patient_id FROM worklist_entry WHERE registration_key = ?", (whose.registration.registration_key,)
    )
    of_patient = (one for one in whose.patient.identifiers if one.value == told)
    return next(of_patient, None) or shown_identifier(db, whose.patient)
