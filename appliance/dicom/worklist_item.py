"""One registration as a Modality Worklist item (PS3.4 Table K.6-1), whole and in each character set a console may read.

Every return key of type 1 and 2 is there, for some consoles show nothing when one is missing; what is not known is
empty. A station that reads one alphabet gets the Latin group of a name alone; a note (referrer, reason) that its
character set cannot say is left out, identity never is.
"""

from __future__ import annotations

import io
from datetime import datetime
from uuid import UUID

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]  # made at import

from appliance.domain.registration import Identifier, Patient, Pregnancy, Registration, Sex, WorklistEntry
from appliance.domain.values import Priority
from appliance.registration.catalogue import SCHEME
from appliance.registration.folding import plain_latin
from appliance.registration.names import latin1, pn_ascii, pn_latin1, pn_utf8

CHARACTER_SETS = {"ascii": "", "latin1": "ISO_IR 100", "utf8": "ISO_IR 192"}
"""Specific Character Set of each; none for ASCII, which is the default repertoire."""
ANY_STATION = "ANY"
"""Scheduled Station AE Title is of type 1; what answers a query puts the asking station in its place."""
_PREGNANCY_STATUS = {Pregnancy.NO: 1, Pregnancy.POSSIBLE: 2, Pregnancy.YES: 3, Pregnancy.UNKNOWN: 4}
"""Of (0010,21C0), PS3.3 C.7.1.3."""
_LO_CHARS_MAX = 64
_SH_CHARS_MAX = 16


def worklist_entry(
    patient: Patient, registration: Registration, patient_id: Identifier, scheduled: datetime, location: str
) -> WorklistEntry:
    """What the worklist is answered with for one registration.

    Args:
        patient: With a Latin name, as ``appliance.registration.names.checked_name`` makes sure of.
        registration: Of that patient.
        patient_id: The identifier that consoles and images show.
        scheduled: ``order.scheduled_at`` in the unit's local time, which consoles ask in.
        location: Where the unit is called to be, for people.

    Raises:
        ValueError: A value cannot be encoded; nothing that ``appliance.registration`` lets pass can cause it.
    """
    name = patient.details.name
    names = {"ascii": pn_ascii(name), "latin1": pn_latin1(name), "utf8": pn_utf8(name)}
    files = {
        character_set: _part10(
            _item(patient, registration, patient_id, scheduled, location, character_set, names[character_set]),
            registration.registration_key,
        )
        for character_set in CHARACTER_SETS
    }
    return WorklistEntry(
        modality=registration.order.modality,
        station_ae_title=registration.order.station_ae_title,
        scheduled_date=scheduled.strftime("%Y%m%d"),
        scheduled_time=scheduled.strftime("%H%M%S"),
        patient_id=patient_id.value,
        accession_number=registration.accession_number,
        study_instance_uid=registration.study_instance_uid,
        requested_procedure_id=registration.accession_number,
        name_ascii=names["ascii"],
        name_latin1=names["latin1"],
        name_utf8=names["utf8"],
        item_ascii=files["ascii"],
        item_latin1=files["latin1"],
        item_utf8=files["utf8"],
    )


def _item(
    patient: Patient,
    registration: Registration,
    patient_id: Identifier,
    scheduled: datetime,
    location: str,
    character_set: str,
    name: str,
) -> Dataset:
    order = registration.order
    description = _sayable(order.description, character_set)[:_LO_CHARS_MAX] or order.exam_code
    item = Dataset()
    if CHARACTER_SETS[character_set]:
        item.SpecificCharacterSet = CHARACTER_SETS[character_set]
    step = Dataset()
    step.ScheduledStationAETitle = order.station_ae_title or ANY_STATION
    step.ScheduledProcedureStepStartDate = scheduled.strftime("%Y%m%d")
    step.ScheduledProcedureStepStartTime = scheduled.strftime("%H%M%S")
    step.Modality = order.modality
    step.ScheduledPerformingPhysicianName = ""
    step.ScheduledProcedureStepDescription = description
    step.ScheduledStationName = ""
    step.ScheduledProcedureStepLocation = location[:_SH_CHARS_MAX]
    step.ScheduledProtocolCodeSequence = [_code(order.exam_code, description)]
    step.PreMedication = ""
    step.ScheduledProcedureStepID = registration.accession_number
    step.RequestedContrastAgent = ""
    step.ScheduledProcedureStepStatus = "SCHEDULED"
    item.ScheduledProcedureStepSequence = [step]

    item.RequestedProcedureID = registration.accession_number
    item.RequestedProcedureDescription = description
    item.RequestedProcedureCodeSequence = [_code(order.exam_code, description)]
    item.StudyInstanceUID = registration.study_instance_uid
    item.ReferencedStudySequence = []
    item.RequestedProcedurePriority = "STAT" if order.priority is Priority.STAT else "ROUTINE"
    item.PatientTransportArrangements = ""
    item.ReasonForTheRequestedProcedure = _note(order.reason, character_set)[:_LO_CHARS_MAX]
    item.AccessionNumber = registration.accession_number
    item.RequestingPhysician = item.ReferringPhysicianName = _person(order.referrer, character_set)
    item.AdmissionID = ""
    item.CurrentPatientLocation = location[:_LO_CHARS_MAX]
    item.ReferencedPatientSequence = []
    _describe_patient(item, patient, patient_id, name)
    item.PregnancyStatus = _PREGNANCY_STATUS.get(order.pregnancy)
    return item


def _describe_patient(item: Dataset, patient: Patient, patient_id: Identifier, name: str) -> None:
    details = patient.details
    item.PatientName = name
    item.PatientID = patient_id.value
    item.IssuerOfPatientID = patient_id.issuer
    others = [one for one in patient.identifiers if one != patient_id]
    if others:
        item.OtherPatientIDsSequence = [_other_id(one) for one in others]
    item.PatientBirthDate = details.birth_date
    item.PatientSex = "" if details.sex is Sex.UNKNOWN else details.sex.value
    if details.age_text and not details.birth_date:
        item.PatientAge = details.age_text
    item.PatientWeight = f"{details.weight_kg:g}" if details.weight_kg else None
    item.ConfidentialityConstraintOnPatientDataDescription = ""
    item.PatientState = ""
    item.MedicalAlerts = ""
    item.Allergies = ""
    item.SpecialNeeds = ""


def _other_id(identifier: Identifier) -> Dataset:
    other = Dataset()
    other.PatientID = identifier.value
    other.IssuerOfPatientID = identifier.issuer
    other.TypeOfPatientID = "TEXT"
    return other


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue = value
    code.CodingSchemeDesignator = SCHEME
    code.CodeMeaning = meaning
    return code


def _sayable(text: str, character_set: str) -> str:
    """As much of ``text`` as the character set can say, accents replaced where it has none."""
    if character_set == "utf8":
        return text
    said, last = (plain_latin(text), 0x7F) if character_set == "ascii" else (latin1(text), 0xFF)
    return "".join(char for char in said if ord(char) <= last)


def _note(text: str, character_set: str) -> str:
    """``text`` as the character set can say it; empty when letters would be missing."""
    is_whole = all(_sayable(char, character_set) for char in text if char != " ")
    return _sayable(text, character_set) if is_whole else ""


def _person(text: str, character_set: str) -> str:
    """A person of whom only one text is known; letters that are not Latin go into the second group of a PN."""
    plain = text.replace("^", " ").replace("=", " ")
    said = _note(plain, character_set)
    return said if said and _note(plain, "latin1") else f"={said}" if said else ""


def _part10(item: Dataset, registration_key: str) -> bytes:
    item.file_meta = FileMetaDataset()
    item.file_meta.MediaStorageSOPClassUID = UID(str(ModalityWorklistInformationFind))
    item.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.{UUID(registration_key).int}")
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    item.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
