"""Where the screen gets its pictures and puts its commands; every call here may block and runs in a thread worker.

The poller posts one frozen snapshot at a time and skips beats while the screen still draws the last one, so that a slow
terminal makes pictures rarer, never older.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from textual.message import Message

from appliance.clock import Clock
from appliance.domain.snapshot import InstanceRow, Snapshot, StudyRow
from appliance.domain.values import JournalEntry

if TYPE_CHECKING:
    from appliance.store.quality import QualityRow
    from appliance.store.revisions import Correction

BEAT_S = 0.25
"""At most four pictures a second (``ux.md``, measured facts)."""


class ReadTrouble(Exception):
    """The unit's state cannot be read or a command not be given now; the text says what is safe and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class StudyDetail:
    """All that the study's own page shows."""

    study: StudyRow
    instances: tuple[InstanceRow, ...]
    journal: tuple[JournalEntry, ...]
    findings: tuple[QualityRow, ...] = ()
    """Of its pictures, the gravest first."""
    actions: tuple[Correction, ...] = ()
    """What people did about it, in order, those undone included."""
    reject_codes: Mapping[str, str] = field(default_factory=dict)
    """Pictures that are rejected now, by SOP Instance UID, with the reason's word."""
    doubt: str = ""
    """Why it is not clear whose it is, as ``appliance.domain.matching.Doubt``."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Of people who sign in, by what the journal calls them."""


class Reader(Protocol):
    """Snapshots out, commands in; tests give a fake. Called from threads, ``poll`` always from the same one."""

    def poll(self) -> Snapshot | None:
        """The unit's state, or ``None`` when nothing has changed since the last call.

        Raises:
            ReadTrouble: If it cannot be read now.
        """
        ...

    def study(self, study_instance_uid: str) -> StudyDetail | None:
        """One study, or ``None`` when the unit has no such study.

        Raises:
            ReadTrouble: If it cannot be read now.
        """
        ...

    def give(self, kind: str, study_instance_uid: str, reason: str, actor: str) -> None:
        """Write a command row; ``sync`` carries it out.

        Raises:
            ReadTrouble: If it could not be written.
        """
        ...

    def close(self) -> None:
        """Let go of the database; called last, from the thread that polled."""
        ...


class SnapshotRead(Message):
    """A new picture of the unit."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot


class ReadFailed(Message):
    """The state could not be read, so what is on the screen is from before; an empty sentence: it can be read again."""

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence


class DetailRead(Message):
    """The answer to the question for one study; ``detail`` is ``None`` when the unit does not have it."""

    def __init__(self, study_instance_uid: str, detail: StudyDetail | None, trouble: str = "") -> None:
        super().__init__()
        self.study_instance_uid = study_instance_uid
        self.detail = detail
        self.trouble = trouble


class CommandGiven(Message):
    """A command row was written (``trouble`` empty) or could not be."""

    def __init__(self, said: str, undo_kind: str, study_instance_uid: str, trouble: str = "") -> None:
        super().__init__()
        self.said = said
        self.undo_kind = undo_kind
        self.study_instance_uid = study_instance_uid
        self.trouble = trouble


class Poller:
    """Asks a reader a few times a second and posts what changed; ``run`` belongs into a thread."""

    def __init__(self, reader: Reader, post: Callable[[Message], object], clock: Clock) -> None:
        self._reader = reader
        self._post = post
        self._clock = clock
        self._stop = threading.Event()
        self._drawn = threading.Event()
        self._drawn.set()
        self._now = threading.Event()
        self._trouble = ""
        self.read_mono_s = clock.mono_s()
        """When the state was last known to be what the screen shows."""

    def run(self) -> None:
        """Poll until ``stop``; the first picture comes at once."""
        try:
            while not self._stop.is_set():
                if self._drawn.is_set():
                    self._beat()
                self._now.wait(BEAT_S)
                self._now.clear()
        finally:
            self._reader.close()

    def drawn(self) -> None:
        """The screen shows the last picture; the next may come."""
        self._drawn.set()

    def soon(self) -> None:
        """Do not wait for the next beat."""
        self._now.set()

    def stop(self) -> None:
        """End ``run``."""
        self._stop.set()
        self._now.set()

    def _beat(self) -> None:
        try:
            snapshot = self._reader.poll()
        except ReadTrouble as trouble:
            if trouble.sentence != self._trouble:
                self._trouble = trouble.sentence
                self._post(ReadFailed(self._trouble))
            return
        self.read_mono_s = self._clock.mono_s()
        if self._trouble:
            self._trouble = ""
            self._post(ReadFailed(""))
        if snapshot is not None:
            self._drawn.clear()
            self._post(SnapshotRead(snapshot))
