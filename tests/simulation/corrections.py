"""People's corrections in the simulated world: made while the power is on, found by the runner, told until moved on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.domain.values import ItemState, OutboxItem
from sync.core.events import WorkArrived
from tests.simulation.centre import Centre
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.model_store import Row
    from tests.simulation.script import Happening
    from tests.simulation.world import World

TOLD_S = 1.0
"""Between two tellings of what is not moved on yet."""
MADE_BYTES = 2048
"""How much longer a corrected file is."""


@dataclass(slots=True)
class Corrections:
    """The files of revisions, and what must be true of corrections."""

    world: World
    files: dict[tuple[str, int], str] = field(default_factory=dict)
    """Digest of each revision's file on the unit's disk, by SOP Instance UID and revision."""

    def __post_init__(self) -> None:
        for name, centre in self.world.centres.items():
            if isinstance(centre, Centre):  # dice of their own: the lives from before there were corrections stay
                centre.overwrites = random.Random(f"overwrites {self.world.script.seed} {name}").random() < 0.5

    def correct(self, happening: Happening) -> None:
        """A person corrects a study, or one image of it; nothing can be made of a file that is gone or damaged."""
        world = self.world
        if not world.powered or not world.study_count:
            return
        study = f"1.2.{1 + int(happening.number * world.study_count)}"
        uids = dict.fromkeys(item.sop_instance_uid for item in world.store.of_study(study))
        good = [uid for uid in uids if uid in world.blobs and uid not in world.flipped | world.evicted]
        for uid in good[:1] if happening.name == "one" else good:
            size_bytes = next(row.item.size_bytes for row in self._rows(uid)) + MADE_BYTES
            revision_id = world.store.revise(uid, f"{world.store.revision_id_last + 1:064x}"[::-1], size_bytes)
            self.files[uid, revision_id] = world.store.contents[uid][revision_id][0]
        world.later(world.rng.choice((0.0, 0.3)), lambda: world.runner.look_for_revisions())

    def undo(self, happening: Happening) -> None:
        """A person takes the latest correction of a study back, as far as no destination may have seen it."""
        world = self.world
        if not world.powered or not world.study_count:
            return
        study = f"1.2.{1 + int(happening.number * world.study_count)}"
        for uid in dict.fromkeys(item.sop_instance_uid for item in world.store.of_study(study)):
            world.store.undo(uid)
        world.later(world.rng.choice((0.0, 0.3)), self._notice_undone)

    def _notice_undone(self) -> None:
        """Where nothing is left to be moved on to, only the news that the store changed lets items go again."""
        self.world.runner.feed(WorkArrived())
        self.world.runner.look_for_revisions()

    def file_of(self, item: OutboxItem) -> str:
        """Digest of the bytes on the disk that this item is about; empty when they are gone."""
        uid = item.sop_instance_uid
        return self.files.get((uid, item.revision_id), "") if item.revision_id else self.world.blobs.get(uid, "")

    def evicted(self, sop_instance_uid: str) -> None:
        """Its pixels leave the unit, in every revision."""
        self.files = {key: kept for key, kept in self.files.items() if key[0] != sop_instance_uid}

    def nothing_lost(self) -> None:
        """Revisions are here as long as their original is."""
        for row in self.world.store.rows.values():
            item = row.item
            is_here = item.revision_id and item.sop_instance_uid not in self.world.evicted
            if is_here and self.file_of(item) != item.sha256:
                raise Violation("lost", f"the corrected file of item {item.item_id} is gone")

    def all_corrected(self) -> None:
        """At the end every destination holds the latest revision of what it confirmed, and no older one."""
        for row in self.world.store.rows.values():
            item = row.item
            if item.revision_id != row.wanted_revision_id:
                raise Violation("not-corrected", f"item {item.item_id} is about revision {item.revision_id}")
            kept = self.world.centres[item.destination].held.get(item.sop_instance_uid)
            is_here = item.sop_instance_uid in self.world.store.contents
            if is_here and item.state is ItemState.CONFIRMED and kept is not None and kept[0] != item.sha256:
                raise Violation("outdated", f"{item.destination} holds an older content of item {item.item_id}")

    def _rows(self, uid: str) -> Iterator[Row]:
        return (row for row in self.world.store.rows.values() if row.item.sop_instance_uid == uid)
