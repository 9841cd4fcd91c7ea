"""A reader and a clock that tests hold in their hands."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from appliance.domain.snapshot import Snapshot
from appliance.domain.values import JournalEntry
from tests.support.snapshots import NOW_S, instance
from tui.reader import ReadTrouble, StudyDetail


@dataclass
class FakeClock:
    """Stands still until told."""

    wall: float = NOW_S
    mono: float = 100.0

    def mono_s(self) -> float:
        return self.mono

    def wall_s(self) -> float:
        return self.wall

    def boot_id(self) -> str:
        return "boot-1"


@dataclass
class FakeReader:
    """Shows what it is given; remembers what it is told. Thread-safe where the app calls it from threads."""

    snapshot: Snapshot | None = None
    trouble: str = ""
    give_trouble: str = ""
    given: list[tuple[str, str]] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    _last: Snapshot | None = None

    def show(self, snapshot: Snapshot) -> None:
        """The unit changed."""
        self.trouble = ""
        self.snapshot = snapshot

    def poll(self) -> Snapshot | None:
        self.asked.set()
        if self.trouble:
            raise ReadTrouble(self.trouble)
        if self.snapshot is self._last:
            return None
        self._last = self.snapshot
        return self.snapshot

    def study(self, study_instance_uid: str) -> StudyDetail | None:
        if self.trouble:
            raise ReadTrouble(self.trouble)
        rows = self.snapshot.studies if self.snapshot else ()
        row = next((row for row in rows if row.study_instance_uid == study_instance_uid), None)
        if row is None:
            return None
        entry = JournalEntry(7, "2026-11-22T08:41:00.000Z", "item", "1", "accepted", "sending", "sent", "sync", "")
        images = tuple(instance(row, number) for number in range(1, row.instance_count + 1))
        return StudyDetail(row, images, (entry,))

    def give(self, kind: str, study_instance_uid: str, reason: str, actor: str) -> None:
        if self.give_trouble:
            raise ReadTrouble(self.give_trouble)
        self.given.append((kind, study_instance_uid))

    def close(self) -> None:
        self.closed.set()
