"""A Modality Worklist query and which entries it asks for (PS3.4 section K.6.1); pure and standard library only.

An entry that is bound to a station is answered to that station alone; one that is bound to none is answered to whoever
asks, as scheduled there. Keys that no entry is known by are ignored at the outer level, as the standard allows; those
inside the Scheduled Procedure Step are all judged, because Orthanc judges them too and would empty the sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from appliance.orthanc.dataset import (
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    SPECIFIC_CHARACTER_SET,
    DataSet,
    DataSetError,
    Element,
    parse,
)
from appliance.orthanc.part10 import NotPart10Error, parse_meta
from appliance.orthanc.worklist_match import (
    QueryError,
    Test,
    date_bounds,
    is_kept_by_orthanc,
    is_single_value,
    is_universal,
    name_test,
    schedule_test,
    text_test,
)

STATION_AE_TITLE = 0x00400001
START_DATE = 0x00400002
START_TIME = 0x00400003
MODALITY = 0x00080060
PERFORMING_PHYSICIAN_NAME = 0x00400006
_PATIENT_NAME = 0x00100010
_TEXT_KEYS = {
    "patient_id": 0x00100020,
    "accession_number": 0x00080050,
    "study_instance_uid": 0x0020000D,
    "requested_procedure_id": 0x00401001,
}
_INDEX_KEYS = (_TEXT_KEYS["patient_id"], _TEXT_KEYS["accession_number"])
_JUDGED_BY_ENTRY = frozenset((STATION_AE_TITLE, START_DATE, START_TIME, MODALITY))
_GROUP_FIRST, _GROUP_LAST = 0x0008, 0x0040
"""Of what is filled in: identification, patient, acquisition, relationship, study, visit, procedure."""
_ESCAPE = b"\x1b"
_TWINS = {"CR": "DX", "DX": "CR"}
"""Both are projection radiographs: a catalogue says one, a console often asks for the other alone."""
_CODECS = {
    "ISO_IR 100": "latin-1",
    "ISO_IR 101": "iso8859-2",
    "ISO_IR 144": "iso8859-5",
    "ISO_IR 127": "iso8859-6",
    "ISO_IR 126": "iso8859-7",
    "ISO_IR 138": "iso8859-8",
    "ISO_IR 148": "iso8859-9",
    "ISO_IR 192": "utf-8",
}
"""What a query may be written in beside ASCII (PS3.3 section C.12.1.1.2)."""

STATION_CODECS = {"ascii": "ascii", "latin1": "latin-1", "utf8": "utf-8"}
"""Character sets of ``[[modality]]``."""


class Entry(NamedTuple):
    """What an open registration is found by; the name as this station reads it, and in ASCII."""

    registration_key: str
    modality: str
    station_ae_title: str
    """Empty: any."""
    scheduled_date: str
    scheduled_time: str
    patient_id: str
    accession_number: str
    study_instance_uid: str
    requested_procedure_id: str
    name: str
    name_ascii: str


class Query:
    """What one station asks for."""

    def __init__(self, file: bytes, calling_ae_title: str, character_set: str) -> None:
        """Read a query.

        Args:
            file: A Part 10 file, as Orthanc hands a query over.
            calling_ae_title: Who asks, without blanks around it.
            character_set: Of that station, a key of ``STATION_CODECS``; for keys whose query names none.

        Raises:
            QueryError: If it cannot be understood whole.
        """
        self._calling_ae_title = calling_ae_title
        try:
            meta = parse_meta(file)
            keys = parse(file[meta.dataset_offset :], meta.transfer_syntax_uid)
        except (NotPart10Error, DataSetError) as error:
            raise QueryError(str(error)) from None
        self._keys = keys
        self._codec = _codec(keys, character_set)
        self._step = self._step_keys(keys)
        self._date, self._time = self._step_text(START_DATE), self._step_text(START_TIME)
        self.narrowed_to = (*date_bounds(self._date), *(_single_value(self._text(keys, tag)) for tag in _INDEX_KEYS))
        """For the database to sort out most of the others by: first and last date, patient ID and accession number."""
        self._is_scheduled = schedule_test(self._date, self._time)
        self._has_modality = text_test(self._step_text(MODALITY))
        self._station = self._step_text(STATION_AE_TITLE)
        self._has_station = text_test(self._station)
        self._has_name = name_test(self._text(keys, _PATIENT_NAME))
        self._tests: list[tuple[int, Test]] = [
            (Entry._fields.index(field), text_test(key))
            for field, tag in _TEXT_KEYS.items()
            if not is_universal(key := self._text(keys, tag))
        ]

    def _step_keys(self, keys: DataSet) -> DataSet:
        element = keys.get(SCHEDULED_PROCEDURE_STEP_SEQUENCE)
        if not element or not element.items:
            return {}
        if len(element.items) > 1:
            raise QueryError("a Scheduled Procedure Step Sequence of more than one item")
        return element.items[0]

    def _step_text(self, tag: int) -> str:
        return self._text(self._step, tag)

    def _text(self, keys: DataSet, tag: int) -> str:
        return _text(keys[tag].value, self._codec) if tag in keys else ""

    def station_of(self, entry: Entry) -> str:
        """Where the entry is scheduled: of one that is bound to no station, the one asked for by name, or the asker."""
        if entry.station_ae_title:
            return entry.station_ae_title
        return _single_value(self._station) or self._calling_ae_title

    def modality_of(self, entry: Entry) -> str:
        """What the entry is answered as: its own modality, or its twin where only that one is asked for."""
        twin = _TWINS.get(entry.modality, "")
        return twin if twin and not self._has_modality(entry.modality) and self._has_modality(twin) else entry.modality

    def matches(self, entry: Entry) -> bool:
        """Whether the entry is asked for, as far as ``Entry`` tells; ``matches_step`` judges the rest."""
        return (
            entry.station_ae_title in ("", self._calling_ae_title)
            and self._is_scheduled(entry.scheduled_date, entry.scheduled_time)
            and self._has_modality(self.modality_of(entry))
            and self._has_station(self.station_of(entry))
            and all(test(entry[index]) for index, test in self._tests)
            and (self._has_name(entry.name) or (entry.name != entry.name_ascii and self._has_name(entry.name_ascii)))
        )

    def is_kept(self, step: DataSet, codec: str) -> bool:
        """Whether Orthanc will leave a matching step in the answer.

        It compares date and time each by itself and as text, so it empties the sequence of one that matches only within
        a span over midnight, or only to the precision of the key.
        """

        def value(tag: int) -> str:
            return _answer_text(step[tag], codec) if tag in step else ""

        return (
            is_kept_by_orthanc(self._date, value(START_DATE))
            and is_kept_by_orthanc(self._time, value(START_TIME))
            and self._has_modality(value(MODALITY))
            and self._has_station(value(STATION_AE_TITLE))
        )

    def matches_step(self, step: DataSet, codec: str) -> bool:
        """Whether a Scheduled Procedure Step has what the other keys of its item ask for.

        Args:
            step: Of the answer.
            codec: Its character set, in Python's words.

        Raises:
            QueryError: If a key is in a character set that is not known here.
        """
        return self._matches_item(self._step, step, codec, _JUDGED_BY_ENTRY)

    def fill(self, answer: DataSet, step: DataSet) -> None:
        """Add, empty, what is asked for and not known here: some consoles show nothing when a key is missing."""
        _fill(self._keys, answer)
        _fill(self._step, step)

    def _matches_item(self, keys: DataSet, item: DataSet, codec: str, but: frozenset[int] = frozenset()) -> bool:
        for tag, key in keys.items():
            if tag in but or tag == SPECIFIC_CHARACTER_SET or not tag & 0xFFFF:
                continue
            found = item.get(tag)
            if key.items is not None:
                if not self._matches_sequence(key.items, found.items if found else None, codec):
                    return False
                continue
            asked = _text(key.value, self._codec)
            test: Callable[[str], Test] = name_test if tag == PERFORMING_PHYSICIAN_NAME else text_test
            if not is_universal(asked) and not (found and test(asked)(_answer_text(found, codec))):
                return False
        return True

    def _matches_sequence(self, keys: tuple[DataSet, ...], items: tuple[DataSet, ...] | None, codec: str) -> bool:
        """Whether an item has what is asked for; a sequence that the answer lacks is not judged."""
        if not any(keys) or items is None:
            return True
        if len(keys) > 1:
            raise QueryError("a sequence of more than one item")
        return any(self._matches_item(keys[0], item, codec) for item in items)


def _single_value(key: str) -> str:
    return key if is_single_value(key) else ""


def _codec(keys: DataSet, character_set: str) -> str:
    """In what the query is written; a station that does not say writes as it reads."""
    label = keys[SPECIFIC_CHARACTER_SET].value.decode("latin-1").strip(" \0") if SPECIFIC_CHARACTER_SET in keys else ""
    if not label:
        return STATION_CODECS[character_set]
    return _CODECS.get(label, "ascii")


def _fill(keys: DataSet, answer: DataSet) -> None:
    """Orthanc puts the VR of its dictionary in the place of LO; a private key or Pixel Data makes it fail."""
    for tag, key in keys.items():
        group = tag >> 16
        if tag not in answer and tag & 0xFFFF and _GROUP_FIRST <= group <= _GROUP_LAST and group % 2 == 0:
            answer[tag] = Element("SQ", b"", ()) if key.vr == "SQ" else Element("LO", b"")


def _answer_text(element: Element, codec: str) -> str:
    """A value of ours without its padding."""
    return element.value.decode(codec, "replace").strip(" \0")


def _text(raw: bytes, codec: str) -> str:
    """A value without its padding.

    Raises:
        QueryError: If its bytes are not of that character set, or switch to another one.
    """
    if _ESCAPE in raw:
        raise QueryError("a key with code extensions (ISO 2022)")
    try:
        return raw.decode(codec).strip(" \0")
    except UnicodeDecodeError:
        raise QueryError(f"a key whose bytes are not {codec}") from None
