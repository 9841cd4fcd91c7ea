"""Brings one file in: copy, look, make an object where it is none, C-STORE, and what came of it as a value.

Nothing is remembered here and the file is never touched, so a crash at any point leaves it where it was; the next try
finds by its UID whether the door already has it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.dicom.bounded_child import BoundedChild, ChildError
from appliance.dicom.header import HeaderError, HeaderReader
from appliance.domain.display import safe_text
from appliance.imports.identity import Device, Series, instance_uid, series_for, series_uid
from appliance.imports.kinds import NEEDS_REGISTRATION, Kind, kind_of
from appliance.imports.problems import NOTES, TRANSIENT, ImportProblem, sentence_of
from appliance.imports.staging import Staged, stage, workshop
from appliance.imports.storing import StoreFile, store
from appliance.store.connect import WRITE_WAIT_S, open_door_reader, open_unit
from appliance.store.import_targets import ImportTarget, find_target, is_known, note_import, series_count

IDLE_S_MAX = 30.0
READ_BYTES_PER_S_MIN = 4 * 1024 * 1024
"""A video is copied through the child; a slow card writes at this rate."""
_HEADER_CODES = {"no-identity": "dicom-no-identity", "parser-died": "parser-died", "parser-stalled": "parser-stalled"}


class State(StrEnum):
    """What came of a file."""

    STORED = "stored"
    ALREADY_HERE = "already-here"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a file, for people and scripts."""

    path: str
    state: State
    code: str = ""
    """Why it was refused; stable words."""
    sentence: str = ""
    sop_instance_uid: str = ""
    size_bytes: int = 0
    notes: tuple[str, ...] = ()
    detail: str = ""

    @property
    def is_transient(self) -> bool:
        """Whether the same bytes may go in later."""
        return self.code in TRANSIENT


def refused(name: str, problem: ImportProblem) -> Outcome:
    """The outcome of a file that cannot be imported."""
    shown = safe_text(name)
    return Outcome(shown, State.REFUSED, problem.code, sentence_of(problem.code, shown), detail=problem.detail)


@dataclass(frozen=True, slots=True)
class _Object:
    """What is to be stored, and what people are told of it."""

    file: StoreFile
    study_instance_uid: str
    notes: tuple[str, ...] = ()


class Importer:
    """Imports one file after the other; belongs to one thread. A context manager."""

    def __init__(self, config: UnitConfig, clock: Clock, actor: str) -> None:
        self._config = config
        self._actor = actor
        limits = config.limits
        self._headers = HeaderReader()
        self._child = BoundedChild(
            "appliance.imports.worker",
            (str(limits.import_memory_bytes_max), str(IDLE_S_MAX)),
            {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        self._numbers: dict[str, int] = {}
        self._unit_db = open_unit(config.unit_db, wait_s=WRITE_WAIT_S, clock=clock)
        try:
            self._door_db = open_door_reader(config.door_db, clock=clock)
        except BaseException:
            self._unit_db.close()
            raise

    def __enter__(self) -> Importer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._headers.close()
        self._child.close()
        self._door_db.close()
        self._unit_db.close()

    def target(self, wanted: str) -> ImportTarget:
        """The registration with this accession number or key.

        Raises:
            ImportProblem: ``registration-unknown`` or ``registration-cancelled``.
        """
        found = find_target(self._unit_db, wanted)
        if found is None:
            raise ImportProblem("registration-unknown")
        if found.state == "cancelled":
            raise ImportProblem("registration-cancelled")
        return found

    def bring(
        self,
        path: Path,
        target: ImportTarget | None,
        device: Device | None = None,
        on_bytes: Callable[[int], None] = lambda count: None,
    ) -> Outcome:
        """Import the file at ``path``.

        Args:
            path: It is read and never changed.
            target: Whom it belongs to; DICOM says so itself and goes in as it is.
            device: What it was taken with; by default as the registration's modality says.
            on_bytes: Called with the number of bytes of each piece handed to the door.

        Raises:
            StoreError: If a database cannot be read.
            OSError: If the data folder cannot be written.
        """
        try:
            with workshop(self._config) as folder:
                return self._bring(path, target, device, folder, on_bytes)
        except ImportProblem as problem:
            return refused(str(path), problem)

    def list_medium(self, dicomdir: Path) -> list[list[str]]:
        """Components of the file IDs that a DICOMDIR names.

        Raises:
            ImportProblem: If it cannot be read.
            OSError: If the data folder cannot be written.
        """
        with workshop(self._config) as folder:
            copy = stage(self._config, dicomdir, folder / "source")
            if copy.size_bytes > self._config.limits.import_picture_bytes_max:
                raise ImportProblem("too-large", f"{copy.size_bytes} bytes")
            listed = folder / "listed"
            self._ask({"do": "list", "source": str(copy.path), "target": str(listed)}, copy.size_bytes)
            return [[str(part) for part in json.loads(line)] for line in listed.read_text("ascii").splitlines()]

    def _bring(
        self,
        path: Path,
        target: ImportTarget | None,
        device: Device | None,
        folder: Path,
        on_bytes: Callable[[int], None],
    ) -> Outcome:
        copy = stage(self._config, path, folder / "source")
        kind = kind_of(path, copy.head)
        shown = safe_text(str(path))
        if kind is Kind.DICOMDIR:
            raise ImportProblem("unknown-kind", "a list of contents alone")
        if kind not in NEEDS_REGISTRATION:
            made = self._as_it_is(copy)
            was_here = is_known(self._unit_db, self._door_db, made.file.sop_instance_uid)
        else:
            if target is None:
                raise ImportProblem("no-registration")
            series = series_for(kind, device or _device_for(target.modality))
            uid = instance_uid(target.registration_key, series, copy.sha256)
            if is_known(self._unit_db, self._door_db, uid):
                return Outcome(shown, State.ALREADY_HERE, sop_instance_uid=uid, size_bytes=copy.size_bytes)
            was_here = False
            made = self._make(copy, kind, target, series, uid, folder / "object.dcm")
        store(self._config, made.file, on_bytes)
        if not was_here:
            note_import(
                self._unit_db, made.file.sop_instance_uid, made.study_instance_uid, self._actor, f"{kind} {copy.sha256}"
            )
        return Outcome(
            path=shown,
            state=State.ALREADY_HERE if was_here else State.STORED,
            sop_instance_uid=made.file.sop_instance_uid,
            size_bytes=copy.size_bytes,
            notes=tuple(NOTES[note] for note in made.notes),
        )

    def _as_it_is(self, copy: Staged) -> _Object:
        """A DICOM file that is whole and says what it is."""
        try:
            self._headers.check_complete(copy.path)
            header = self._headers.read(copy.path)
        except HeaderError as error:
            raise ImportProblem(_HEADER_CODES.get(error.code, "dicom-damaged"), error.code) from error
        file = StoreFile(copy.path, header.sop_class_uid, header.sop_instance_uid, header.transfer_syntax_uid)
        return _Object(file, header.study.study_instance_uid)

    def _make(self, copy: Staged, kind: Kind, target: ImportTarget, series: Series, uid: str, made: Path) -> _Object:
        limits = self._config.limits
        if kind is not Kind.MP4 and copy.size_bytes > limits.import_picture_bytes_max:
            raise ImportProblem("too-large", f"{copy.size_bytes} bytes")
        answer = self._ask(
            {
                "do": "make",
                "source": str(copy.path),
                "target": str(made),
                "kind": kind,
                "series": series,
                "sha256": copy.sha256,
                "registration_key": target.registration_key,
                "item": base64.b64encode(target.item).decode("ascii"),
                "study_date": target.study_date,
                "body_part": target.body_part,
                "laterality": target.laterality,
                "number": self._next_number(series_uid(target.registration_key, series)),
                "pixel_count_max": limits.import_pixel_count_max,
            },
            copy.size_bytes,
        )
        file = StoreFile(made, str(answer["sop_class_uid"]), uid, str(answer["transfer_syntax_uid"]))
        return _Object(file, target.study_instance_uid, tuple(answer["notes"]))

    def _next_number(self, series_instance_uid: str) -> int:
        """The next Instance Number; intake may lag behind what this import stored, so its own count is kept too."""
        number = max(series_count(self._unit_db, series_instance_uid), self._numbers.get(series_instance_uid, 0)) + 1
        self._numbers[series_instance_uid] = number
        return number

    def _ask(self, question: dict[str, object], size_bytes: int) -> dict[str, Any]:
        answer_s_max = self._config.limits.import_answer_s_max + size_bytes / READ_BYTES_PER_S_MIN
        try:
            return self._child.ask(question, answer_s_max)
        except ChildError as error:
            raise ImportProblem(error.code, error.reason) from error


def _device_for(modality: str) -> Device:
    return Device.ULTRASOUND if modality == "US" else Device.PHOTOGRAPH
