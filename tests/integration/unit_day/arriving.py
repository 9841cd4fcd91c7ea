"""What the centre holds, against what devices sent and people corrected: attribute by attribute, bit by bit."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pydicom
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from tests.integration.unit_day.day import CORRECTED, Day
from tests.integration.unit_day.people import BY_KEY, WHO_IT_WAS, Person

COPY, NOTE = "copy", "rejection-note"
WRONG = "mansouri-as-idrissi"
SET_ASIDE = {WRONG: "wrong-patient", "haddad-pa": "motion"}
"""Pictures that were rejected, with why; the first before anybody had seen it."""
ALSO_CHANGED = {"OriginalAttributesSequence", "SpecificCharacterSet"}
ORDER = "RequestAttributesSequence"
_UIDS_OF_A_COPY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class Arrived:
    """One object at the centre: what was sent for it, and what people changed in it, by keyword."""

    key: str
    sop_instance_uid: str
    content: bytes
    sent: bytes
    changes: Mapping[str, str]

    @property
    def dataset(self) -> Dataset:
        return pydicom.dcmread(io.BytesIO(self.content))

    @property
    def sent_dataset(self) -> Dataset:
        return pydicom.dcmread(io.BytesIO(self.sent))


def made_uids(day: Day) -> dict[str, str]:
    """SOP Instance UIDs of what the unit made itself, by role."""
    return {str(role): str(uid) for uid, role in day.stage.unit.query("SELECT sop_instance_uid, role FROM made_object")}


def arrived(day: Day) -> Iterator[Arrived]:
    """Everything that should be at the centre and is of a picture."""
    centre, uids = day.stage.centre.centre, made_uids(day)
    for key, picture in day.pictures.items():
        if key == "dupont-other":
            continue
        uid = uids[COPY] if key == WRONG else picture.sop_instance_uid
        name = COPY if key == WRONG else key
        yield Arrived(name, uid, centre.file(uid), picture.path.read_bytes(), changes_of(day, name))


def identity_of(day: Day, person: Person) -> dict[str, str]:
    """What a corrected picture says of a person, from what was typed at the desk."""
    answer = day.registered[person.key]
    arabic = f"={person.family_ar}^{person.given_ar}" if person.family_ar else ""
    return {
        "PatientName": f"{person.family}^{person.given}{arabic}",
        "PatientID": person.national_id or answer["patient_unit_id"],
        "PatientBirthDate": person.birth_date.replace("-", ""),
        "PatientSex": person.sex,
        "AccessionNumber": answer["registration"]["accession_number"],
    }


def changes_of(day: Day, key: str) -> dict[str, str]:
    """What people changed in a picture, by keyword; nothing for most."""
    if key == "emergency-ap":
        return identity_of(day, WHO_IT_WAS)
    if key == COPY:
        return {**identity_of(day, BY_KEY["mansouri"]), "StudyID": day.accession("mansouri")}
    return {"berrada-pa": {"StudyDescription": CORRECTED}, "haddad-ll": {"ViewPosition": "RL"}}.get(key, {})


def data_set_of(part10: bytes) -> bytes:
    """What follows the file meta information, whose group length PS3.10 7.1 puts first."""
    length = int.from_bytes(part10[140:144], "little")
    return part10[144 + length :]


def faults_of(one: Arrived) -> list[str]:
    """Everything in which an object is not what it should be."""
    ours, theirs = one.sent_dataset, one.dataset
    faults = [] if ours.PixelData == theirs.PixelData else ["other pixels"]
    if not one.changes:
        held, sent = (hashlib.sha256(data_set_of(file)).hexdigest() for file in (one.content, one.sent))
        return faults + ([] if held == sent else ["another data set than was sent"])
    also = {*_UIDS_OF_A_COPY, ORDER} if one.key == COPY else set()
    touched = {*one.changes, *ALSO_CHANGED, *also}
    tags = {element.tag for dataset in (ours, theirs) for element in dataset}
    faults += [
        f"{pydicom.datadict.keyword_for_tag(tag)} is {theirs.get(tag)!r}, was sent as {ours.get(tag)!r}"
        for tag in sorted(tags)
        if pydicom.datadict.keyword_for_tag(tag) not in touched and not _same(ours, theirs, tag)
    ]
    faults += [
        f"{keyword} is {theirs.get(keyword)!r}, not {value!r}"
        for keyword, value in one.changes.items()
        if str(theirs.get(keyword, "")) != value
    ]
    if one.key == COPY and ORDER in theirs:
        faults.append("it still names the other patient's order")
    return faults + _faults_of_original_attributes(one, ours, theirs)


def _same(ours: Dataset, theirs: Dataset, tag: BaseTag) -> bool:
    return tag in ours and tag in theirs and ours[tag].VR == theirs[tag].VR and ours[tag].value == theirs[tag].value


def _faults_of_original_attributes(one: Arrived, ours: Dataset, theirs: Dataset) -> list[str]:
    """PS3.3 C.12.1.1.9: one item for the one action, with every value as it was sent."""
    items = theirs.get("OriginalAttributesSequence", [])
    if len(items) != 1:
        return [f"{len(items)} items of Original Attributes Sequence"]
    (item,) = items
    (kept,) = item.ModifiedAttributesSequence
    faults = [
        f"the original {keyword} is {kept.get(keyword)!r}, was {ours.get(keyword)!r}"
        for keyword, value in one.changes.items()
        if str(ours.get(keyword, "")) != value and str(kept.get(keyword, "absent")) != str(ours.get(keyword, ""))
    ]
    expected = {"ModifyingSystem": "test-unit", "ReasonForTheAttributeModification": "CORRECT"}
    expected["SourceOfPreviousValues"] = "XRAY"
    faults += [
        f"{keyword} is {item.get(keyword)!r}" for keyword, value in expected.items() if item.get(keyword) != value
    ]
    if not str(item.get("AttributeModificationDateTime", "")).endswith("+0000"):
        faults.append("no time of the modification in UTC")
    return faults
