"""The watched folder: what devices and people put into FOLDER/ACCESSION is imported and moved to FOLDER/done/ACCESSION.

A step of the quality process. A file is moved only after the door answered Success, and found by its UID when it was
sent but not moved; one that cannot be imported stays where it is, with a finding that goes when the file does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.imports.finding import find
from appliance.imports.importer import Importer, Outcome, State, refused
from appliance.imports.kinds import NEEDS_REGISTRATION, Kind, kind_by_content, kind_by_name
from appliance.imports.problems import ImportProblem
from appliance.imports.staging import read_head
from appliance.logging import log
from appliance.store.connect import Store, open_unit
from appliance.store.findings import clear_finding, note_finding, open_subjects

ACTOR = "watched-folder"
DONE = "done"
FINDING = "import-file"
LOOK_S = 2.0
"""Between two looks; a folder of a hundred files is read in a millisecond."""
RETRY_S = 30.0
"""Before a file is tried again whose trouble may pass: a closed door, a full disk."""
_UNFINISHED_ENDINGS = (".part", ".partial", ".tmp", ".crdownload", ".filepart")

Mark = tuple[int, int, int]
"""Count, size and last change: another mark is another file, or another medium."""


@dataclass(slots=True)
class _Seen:
    """A file that waits: since when it has not changed, and what was wrong with it."""

    mark: Mark
    since_mono_s: float
    tried_mono_s: float | None = None
    is_transient: bool = False


class Watcher:
    """One look and at most one file a step, so that nothing else in the process waits long."""

    def __init__(self, config: UnitConfig, clock: Clock, db: Store, importer: Importer) -> None:
        self._config = config
        self._importer = importer
        self._clock = clock
        self._db = db
        self._root = Path(config.imports.folder)
        self._seen: dict[Path, _Seen] = {}
        self._open_findings = set(open_subjects(db, FINDING))

    def step(self) -> float:
        """Import one file that is due; seconds until the next look.

        Raises:
            StoreError: If a database cannot be used.
            OSError: If the data folder cannot be written.
        """
        paths = list(_files(self._root, self._config.limits.import_folder_depth_max))
        due = [path for path in paths if self._is_due(path)]
        for gone in set(self._seen) - set(paths):
            del self._seen[gone]
        self._clear_findings(keep={_subject(self._root, path) for path in paths})
        if not due:
            return LOOK_S
        path = due[0]
        self._note(path, self._import(path))
        return 0.0 if len(due) > 1 else LOOK_S

    def _is_due(self, path: Path) -> bool:
        """Whether it has not changed for a while, and was not tried like this before."""
        now_mono_s = self._clock.mono_s()
        try:
            mark = _mark(path)
        except OSError:
            return False
        seen = self._seen.get(path)
        if seen is None or seen.mark != mark:
            self._seen[path] = _Seen(mark, now_mono_s)
            return False
        if seen.tried_mono_s is not None:
            return seen.is_transient and now_mono_s - seen.tried_mono_s >= RETRY_S
        return now_mono_s - seen.since_mono_s >= self._config.limits.import_settle_s

    def _import(self, path: Path) -> Outcome:
        """A file, or all that a DICOMDIR names; moved when it is in."""
        try:
            if path.is_symlink():
                raise ImportProblem("symlink")
            if kind_by_name(path) is Kind.DICOMDIR:
                return self._import_medium(path)
            kind = kind_by_content(read_head(path))
            accession = path.relative_to(self._root).parts[0] if path.parent != self._root else ""
            if kind in NEEDS_REGISTRATION and not accession:
                raise ImportProblem("no-registration")
            target = self._importer.target(accession) if kind in NEEDS_REGISTRATION else None
        except ImportProblem as problem:
            return refused(str(path), problem)
        outcome = self._importer.bring(path, target)
        if outcome.state is not State.REFUSED:
            self._move(path)
        return outcome

    def _import_medium(self, dicomdir: Path) -> Outcome:
        """All its files, then its folder is moved as one; until then each try sends all of them, which does no harm."""
        found = find([dicomdir], self._importer, self._config.limits)
        outcomes = [*found.problems, *(self._importer.bring(path, None) for path in found.files)]
        bad = [outcome for outcome in outcomes if outcome.state is State.REFUSED]
        if bad:
            return bad[0]
        self._move(dicomdir.parent)
        return Outcome(str(dicomdir), State.STORED, size_bytes=sum(outcome.size_bytes for outcome in outcomes))

    def _move(self, path: Path) -> None:
        """Into ``done``, never over another file; one that cannot be moved is met again and found to be here."""
        target = self._root / DONE / path.relative_to(self._root)
        if target.exists():
            target = target.with_name(f"{self._clock.wall_s():.0f}-{os.urandom(4).hex()}-{target.name}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        except OSError as error:
            log("unit.import", "not moved", error=error.strerror)
            return
        with suppress(OSError):
            # An accession folder that is empty again goes; one that still holds something does not.
            if path.parent != self._root:
                path.parent.rmdir()

    def _note(self, path: Path, outcome: Outcome) -> None:
        subject = _subject(self._root, path)
        if path in self._seen:
            self._seen[path].tried_mono_s = self._clock.mono_s()
            self._seen[path].is_transient = outcome.is_transient or outcome.state is not State.REFUSED
        if outcome.state is not State.REFUSED:
            log("unit.import", outcome.state, sop=outcome.sop_instance_uid, bytes=outcome.size_bytes)
            return
        log("unit.import", "refused", code=outcome.code, subject=subject)
        self._open_findings.add(subject)
        note_finding(
            self._db,
            kind=FINDING,
            subject_id=subject,
            sentence=outcome.sentence,
            severity="warning",
            detail=f"{outcome.code} {outcome.detail}".rstrip(),
        )

    def _clear_findings(self, keep: set[str]) -> None:
        for subject in self._open_findings - keep:
            clear_finding(self._db, kind=FINDING, subject_id=subject)
        self._open_findings &= keep


def _subject(root: Path, path: Path) -> str:
    """What a finding calls a file: its name may hold a patient's."""
    return hashlib.sha256(os.fsencode(path.relative_to(root))).hexdigest()[:16]


def _mark(path: Path) -> Mark:
    """Of a file; for a DICOMDIR, of everything in its folder."""
    paths = [path]
    if kind_by_name(path) is Kind.DICOMDIR:
        paths = [Path(folder) / name for folder, _, names in os.walk(path.parent) for name in names]
    stats = [each.lstat() for each in paths]
    return len(stats), sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)


def _files(root: Path, depth_max: int) -> Iterator[Path]:
    """Files below ``root`` but not in ``done``, in order; hidden and unfinished ones are nobody's yet.

    A medium has a folder of its own, and stands for all its files with its DICOMDIR.
    """
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:
            continue
        dicomdir = next((entry for entry in entries if entry.name.upper() == "DICOMDIR" and entry.is_file()), None)
        if dicomdir is not None and folder != root:
            yield Path(dicomdir.path)
            continue
        for entry in entries:
            is_unfinished = entry.name.startswith((".", "~")) or entry.name.lower().endswith(_UNFINISHED_ENDINGS)
            if is_unfinished or entry.name.upper() == "DICOMDIR":
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth < depth_max and not (folder == root and entry.name == DONE):
                    waiting.append((Path(entry.path), depth + 1))
            elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


class _NoFolder:
    """Nothing is watched."""

    def step(self) -> float:
        return 3600.0


@contextmanager
def open_import_folder(config: UnitConfig, clock: Clock) -> Iterator[Watcher | _NoFolder]:
    """The step of the quality process, with database handles of its own.

    Raises:
        StoreError: If the database cannot be opened.
    """
    if not config.imports.folder:
        yield _NoFolder()
        return
    with open_unit(config.unit_db, clock=clock) as db, Importer(config, clock, ACTOR) as importer:
        yield Watcher(config, clock, db, importer)
