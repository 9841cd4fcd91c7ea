"""Worklist answers for Orthanc's callback: open entries of ``unit.db``, each as the file that Orthanc takes it from.

The answers lie ready in the database, so every other process of ours may be down. Each query opens it anew, read-only:
nothing is held between two queries, a reader of a database in WAL mode waits for no writer, and SQLite lets go of the
interpreter lock at every row, so a C-STORE beside it waits for one row's work at most. A database that cannot be read
raises, which Orthanc answers as a failure: an empty list would say that nobody is waiting.

Orthanc filters what is added (``HierarchicalMatcher::Extract`` in its sources, the same in 1.10.1 and in 1.12.7). The
outer keys only choose which values go out; those inside a sequence are judged again, and empty it where they do not
match. Then every answer is recoded to Orthanc's default encoding and labelled with it. One that claims to be in that
encoding already is not recoded, so its bytes go out untouched, and the gatekeeper puts the station's own label in the
place of this one (``appliance.gatekeeper.worklist_answers``).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from appliance.logging import log
from appliance.orthanc.dataset import (
    EXPLICIT_LITTLE_ENDIAN,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    SPECIFIC_CHARACTER_SET,
    DataSet,
    DataSetError,
    Element,
    encode,
    parse,
)
from appliance.orthanc.part10 import NotPart10Error, parse_meta
from appliance.orthanc.worklist_match import QueryError
from appliance.orthanc.worklist_query import MODALITY, STATION_AE_TITLE, STATION_CODECS, Entry, Query

ORTHANC_ENCODING = "Latin1"
"""``DefaultEncoding`` in Orthanc's words; ``appliance.orthanc.settings`` renders it."""
_ORTHANC_LABEL = Element("CS", b"ISO_IR 100")
_DEFAULT_CHARACTER_SET = "ascii"


class WorklistError(Exception):
    """The query is answered with a failure; the text says why, without identity, for Orthanc logs it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistSettings:
    """Where the entries are, who reads which character set, and the bounds of ``appliance.domain.limits``."""

    unit_db: Path
    character_set_by_ae_title: Mapping[str, str]
    """``ascii``, ``latin1`` or ``utf8``; a station that is not there reads ASCII."""
    answer_count_max: int
    query_bytes_max: int
    busy_s_max: float


@dataclass(slots=True)
class Answers:
    """What came of one query, complete only once all its files were taken."""

    count: int = 0
    is_complete: bool = True


class Worklist:
    """Answers queries; safe to call from any thread."""

    def __init__(self, settings: WorklistSettings) -> None:
        self._settings = settings
        self._counts: Counter[str] = Counter()
        self._last_error = ""

    def facts(self) -> dict[str, Any]:
        """For health checks: counts since the start, and the last thing that went wrong."""
        return {"counts": dict(self._counts), "last_error": self._last_error}

    def files(self, query: bytes, calling_ae_title: str, answers: Answers) -> Iterator[bytes]:
        """Part 10 files of the matching entries, the earliest first, for Orthanc to filter.

        Args:
            query: As Orthanc hands it over.
            calling_ae_title: Who asks.
            answers: Filled while the files are taken.

        Raises:
            WorklistError: If the query cannot be understood or the database not be read.
        """
        calling = calling_ae_title.strip(" ")
        try:
            yield from self._files(query, calling, answers)
        except (QueryError, sqlite3.Error) as error:
            sentence = str(error) if isinstance(error, QueryError) else _database_sentence(error)
            self._counts["failed"] += 1
            self._last_error = sentence
            log("unit.worklist", "query failed", calling=calling, why=sentence)
            # Not from it: Orthanc logs the whole chain.
            raise WorklistError(sentence) from None
        self._counts["answered"] += 1
        if not answers.is_complete:
            self._counts["incomplete"] += 1

    def _files(self, query_file: bytes, calling: str, answers: Answers) -> Iterator[bytes]:
        character_set = self._settings.character_set_by_ae_title.get(calling, _DEFAULT_CHARACTER_SET)
        if len(query_file) > self._settings.query_bytes_max:
            raise QueryError(f"a query of {len(query_file)} bytes, more than {self._settings.query_bytes_max}")
        query = Query(query_file, calling, character_set)
        with closing(_open(self._settings.unit_db, self._settings.busy_s_max)) as db:
            entries = map(Entry._make, db.execute(_ENTRIES, (character_set, calling, *query.narrowed_to)))
            matching = [entry for entry in entries if query.matches(entry)]
            for entry in matching:
                if answers.count >= self._settings.answer_count_max:
                    self._leave_out(answers, calling, f"more than {self._settings.answer_count_max} match")
                    return
                for (item,) in db.execute(_ITEM, (character_set, entry.registration_key)):
                    file = self._file(item, entry, query, STATION_CODECS[character_set], answers)
                    if file:
                        answers.count += 1
                        yield file

    def _file(self, item: bytes, entry: Entry, query: Query, codec: str, answers: Answers) -> bytes:
        """What Orthanc gets of a matching entry; empty when it has no place in the answer."""
        try:
            head, data_set = _read(item)
            step = _step(data_set)
            step[STATION_AE_TITLE] = Element("AE", _padded(query.station_of(entry)))
            step[MODALITY] = Element("CS", _padded(query.modality_of(entry)))
            if not query.matches_step(step, codec):
                return b""
            if not query.is_kept(step, codec):
                raise DataSetError("Orthanc takes the keys of the scheduled step more narrowly")
            query.fill(data_set, step)
            data_set[SPECIFIC_CHARACTER_SET] = _ORTHANC_LABEL
            return head + encode(data_set)
        except (NotPart10Error, DataSetError) as error:
            # One such entry does not keep the others from the console, which is told that something is missing.
            self._leave_out(answers, entry.registration_key, str(error))
            return b""

    def _leave_out(self, answers: Answers, subject: str, why: str) -> None:
        answers.is_complete = False
        self._last_error = f"incomplete answer: {why}"
        log("unit.worklist", "incomplete answer", subject=subject, why=why)


def _read(item: bytes) -> tuple[bytes, DataSet]:
    """Preamble with meta header, and the data set."""
    meta = parse_meta(item)
    if meta.transfer_syntax_uid != EXPLICIT_LITTLE_ENDIAN:
        raise DataSetError("the entry is not in explicit VR little endian")
    return item[: meta.dataset_offset], parse(item[meta.dataset_offset :], meta.transfer_syntax_uid)


def _step(data_set: DataSet) -> DataSet:
    element = data_set.get(SCHEDULED_PROCEDURE_STEP_SEQUENCE)
    if not element or not element.items or len(element.items) > 1:
        raise DataSetError("the entry has not one Scheduled Procedure Step")
    return element.items[0]


def _padded(text: str) -> bytes:
    raw = text.encode("ascii", "replace")
    return raw + b" " * (len(raw) % 2)


def _open(path: Path, busy_s_max: float) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=busy_s_max, isolation_level=None)


def _database_sentence(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    known = _DATABASE_SENTENCES.get(code, "unit.db cannot be read; qafila doctor says more")
    return f"{known} ({getattr(error, 'sqlite_errorname', type(error).__name__)})"


_DATABASE_SENTENCES = {
    sqlite3.SQLITE_BUSY: "unit.db is busy; ask again",
    sqlite3.SQLITE_LOCKED: "unit.db is busy; ask again",
    sqlite3.SQLITE_CANTOPEN: "unit.db is missing or may not be opened; qafila doctor says more",
    sqlite3.SQLITE_ERROR: "unit.db has no worklist, it is of an older release; stop and start the unit",
}
"""By primary result code."""
_ENTRIES = """SELECT registration_key, modality, station_ae_title, scheduled_date, scheduled_time, patient_id,
        accession_number, study_instance_uid, requested_procedure_id,
        CASE ?1 WHEN 'utf8' THEN name_utf8 WHEN 'latin1' THEN name_latin1 ELSE name_ascii END, name_ascii
    FROM worklist_entry
    WHERE is_open = 1 AND station_ae_title IN ('', ?2) AND scheduled_date BETWEEN ?3 AND ?4
        AND ?5 IN ('', patient_id) AND ?6 IN ('', accession_number)
    ORDER BY scheduled_date, scheduled_time, registration_key"""
_ITEM = """SELECT CASE ? WHEN 'utf8' THEN item_utf8 WHEN 'latin1' THEN item_latin1 ELSE item_ascii END
    FROM worklist_entry WHERE registration_key = ? AND is_open = 1"""
