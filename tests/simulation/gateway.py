"""The centre's gateway as the simulation sees it: manifests, previews, parts that grow, rebuilding, receipts, epochs.

It takes appends and keeps what arrived, loses what it had not synced when it crashes, rebuilds after a while, and gives
receipts of its present life only; in its moods it does what faulty and hostile ones do.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from appliance.domain.failure import Failure
from appliance.domain.values import Evidence, OutboxItem
from tests.simulation.centre import OTHER, Look, permanent, transient
from tests.simulation.script import NO_PREVIEW

REBUILD_S = (0.0, 2.0, 20.0)


def coded_bytes(item: OutboxItem) -> int:
    """How long the item is on the link, all parts together."""
    return item.size_bytes // 3 + 1


@dataclass(slots=True)
class Part:
    """What arrived of one item's parts; ``synced_bytes`` of it outlive a crash."""

    arrived_bytes: int = 0
    synced_bytes: int = 0
    complete: bool = False


@dataclass(slots=True)
class Gateway:
    """Offers what ``Centre`` offers to the world and its checkers, and its own conversation beside it."""

    name: str
    rng: random.Random
    held: dict[str, tuple[str, float]] = field(default_factory=dict)
    """In the PACS behind it, read back and compared: digest and since when, by SOP Instance UID."""
    moods: dict[str, float] = field(default_factory=dict)
    poisons: dict[str, str] = field(default_factory=dict)
    proved: dict[str, float] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    """By digest of the original, as real parts go by their own."""
    told: dict[str, float] = field(default_factory=dict)
    """Since when it shows a preview, by SOP Instance UID."""
    rebuilding: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Digest and when it will be in the PACS, by SOP Instance UID."""
    receipts: dict[str, list[str]] = field(default_factory=dict)
    """The epochs of all receipts ever given, by SOP Instance UID: what a replay can bring back."""
    before: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    """Every content that the PACS held, as ``held``; what a backup may bring back."""
    replaced: dict[tuple[str, str], float] = field(default_factory=dict)
    """Contents of instances of which a later one was told, and since when."""
    finished: list[tuple[str, str]] = field(default_factory=list)
    """Every content that was ever whole here."""
    life: int = 1
    lost_bytes: bool = False
    """It gave something up that had arrived; whoever counts bytes sent again stops counting."""

    @property
    def epoch(self) -> str:
        return f"{self.name}-{self.life}"

    def feels(self, mood: str) -> bool:
        share = self.moods.get(mood)
        return share is not None and self.rng.random() < share

    def welcome(self, item: OutboxItem, earlier: tuple[str, ...], now: float) -> Failure | None:
        """A manifest that names the item and what it replaces; what stands against it."""
        if self.feels("late") and self.finished:  # what a network brings once more, long after it was sent
            self._begin_rebuilding(*self.rng.choice(self.finished), now)
        for sha256 in earlier:
            self.replaced.setdefault((item.sop_instance_uid, sha256), now)
        poison = self.poisons.get(item.sop_instance_uid)
        if poison in ("busy", "error"):
            return transient(f"http-{poison}")
        if self.feels("refuse"):
            return permanent("manifest-refused")
        if self.feels("busy"):
            return transient("http-503", self.rng.choice((None, 1.0, 30.0, 1e9, -5.0)))
        if self.feels("error"):
            return transient("http-500")
        return None

    def end_of_talk(self, item: OutboxItem) -> Failure | None:
        """What ends the whole attempt, if anything does."""
        if self.poisons.get(item.sop_instance_uid) == "end-attempt":
            return transient("aborted")
        if self.feels("full"):
            return transient("http-507", self.rng.choice((None, 120.0)))
        if self.feels("gone"):
            return permanent("not-enrolled")
        return None

    def show(self, item: OutboxItem, now: float) -> None:
        """Its preview arrived, or it is known that there is none."""
        self.told.setdefault(item.sop_instance_uid, now)

    def offset(self, item: OutboxItem) -> int:
        """How much of the item it has."""
        return self.parts.setdefault(item.sha256, Part()).arrived_bytes

    def append(self, item: OutboxItem, link_bytes: int) -> None:
        """Bytes arrive; each time or the other it gets them to its disk at once."""
        part = self.parts.setdefault(item.sha256, Part())
        part.arrived_bytes = min(coded_bytes(item), part.arrived_bytes + link_bytes)
        if self.rng.random() < 0.5:
            part.synced_bytes = part.arrived_bytes

    def finish(self, item: OutboxItem, now: float) -> Failure | None:
        """The unit says that all parts are there; it gets them to disk before it agrees."""
        part = self.parts.setdefault(item.sha256, Part())
        if self.feels("lies"):
            self.parts.pop(item.sha256)
            self.lost_bytes = True
            return None
        if self.feels("other-bytes") or part.arrived_bytes < coded_bytes(item):
            self.parts.pop(item.sha256)
            self.lost_bytes = True
            return transient("digest-mismatch")
        part.synced_bytes = part.arrived_bytes
        self.finished.append((item.sop_instance_uid, item.sha256))
        self._begin_rebuilding(item.sop_instance_uid, item.sha256, now)
        return None

    def is_replaced(self, uid: str, sha256: str) -> bool:
        """Whether a later content of this instance was told."""
        return (uid, sha256) in self.replaced

    def _begin_rebuilding(self, uid: str, sha256: str, now: float) -> None:
        """Unless it is there, or on its way, or replaced, or what is there is something else."""
        known = self.rebuilding.get(uid, self.held.get(uid))
        if not self.is_replaced(uid, sha256) and (known is None or self.is_replaced(uid, known[0])):
            self.rebuilding[uid] = (sha256, now + self.rng.choice(REBUILD_S))

    def settle(self, now: float) -> None:
        """Whatever was rebuilt by now is in the PACS, in the place of what it replaces."""
        for uid, (sha256, ready_at) in list(self.rebuilding.items()):
            if ready_at <= now:
                del self.rebuilding[uid]
                kept = self.held.get(uid)
                if not self.is_replaced(uid, sha256) and (kept is None or self.is_replaced(uid, kept[0])):
                    self.held[uid] = (sha256, ready_at)
                    self.before.setdefault(uid, []).append(self.held[uid])

    def crash(self) -> None:
        """What was not synced goes; what was complete is rebuilt anew, since its parts are there."""
        for part in self.parts.values():
            self.lost_bytes = self.lost_bytes or part.arrived_bytes > part.synced_bytes
            part.arrived_bytes = part.synced_bytes

    def restore(self, now: float, age_s: float) -> None:
        """Back to the backup that was taken ``age_s`` ago; whoever restores it names a new epoch."""
        self.settle(now)
        self.before = {uid: [kept for kept in all_ if kept[1] <= now - age_s] for uid, all_ in self.before.items()}
        self.held = {uid: all_[-1] for uid, all_ in self.before.items() if all_}
        self.replaced = {told: since for told, since in self.replaced.items() if since <= now - age_s}
        self.told = {uid: since for uid, since in self.told.items() if since <= now - age_s}
        self.rebuilding.clear()
        self.parts.clear()
        self.lost_bytes = True
        self.life += 1

    def prove(self, item: OutboxItem, now: float, earlier: tuple[str, ...] = ()) -> Look:
        """Asked for a receipt that is worth something now."""
        self.settle(now)
        uid = item.sop_instance_uid
        if self.feels("no-proof"):
            return Look(failure=transient("receipt-pending"))
        if self.feels("false-proof"):
            return self._false_proof(item)
        if uid in self.rebuilding:
            return Look(failure=transient("receipt-pending"))
        kept = self.held.get(uid)
        if self.is_replaced(uid, item.sha256):
            return Look(failure=permanent("superseded"))
        if kept is None or kept[0] in earlier:
            return Look(failure=transient("absent"), absent=True)
        if kept[0] != item.sha256:
            return Look(failure=permanent("digest-conflict"))
        self.proved[uid] = now
        self.receipts.setdefault(uid, []).append(self.epoch)
        return Look(self._evidence(item.sha256, self.epoch), sop_instance_uid=uid, destination=self.name)

    def _false_proof(self, item: OutboxItem) -> Look:
        """A receipt that proves nothing; one with a bad signature never gets past the adapter."""
        uid, epoch = item.sop_instance_uid, self.epoch
        good, other = self._evidence(item.sha256, epoch), self._evidence(OTHER, epoch)
        choices = [
            Look(failure=transient("receipt-signature")),
            Look(other, sop_instance_uid=uid, destination=self.name),
            Look(good, sop_instance_uid=uid + ".9", destination=self.name),
            Look(good, sop_instance_uid=uid, destination="elsewhere"),
        ]
        earlier = [given for given in self.receipts.get(uid, ()) if given != epoch]
        if earlier:  # signed, and true in another life
            replayed = self._evidence(item.sha256, self.rng.choice(earlier))
            choices = [Look(replayed, sop_instance_uid=uid, destination=self.name)]
        return self.rng.choice(choices)

    def _evidence(self, sha256: str, epoch: str) -> Evidence:
        return Evidence("gateway", sha256, epoch=epoch)

    def sync(self, now: float) -> None:
        """Everything that arrived is on its disk."""
        for part in self.parts.values():
            part.synced_bytes = part.arrived_bytes
        self.settle(now)

    def heal(self, item_sha256: dict[str, str], now: float) -> None:
        """People have mended it; an image of which no preview can be made stays one."""
        self.moods.clear()
        self.poisons = {uid: poison for uid, poison in self.poisons.items() if poison == NO_PREVIEW}
        self.sync(now)
