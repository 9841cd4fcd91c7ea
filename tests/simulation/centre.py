"""A destination that does everything wrong that destinations are known to do, and the path to it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import Evidence, OutboxItem

OTHER = "f" * 64
"""The digest of bytes that are not ours."""


def link_failure(code: str = "link-broken") -> Failure:
    return Failure(FailureKind.LINK, code, "The connection broke.")


def transient(code: str, retry_after_s: float | None = None) -> Failure:
    return Failure(FailureKind.TRANSIENT, code, "It did not work this time.", retry_after_s)


def permanent(code: str) -> Failure:
    return Failure(FailureKind.PERMANENT, code, "The centre does not take this image.")


@dataclass(slots=True)
class Path:
    """The link to one centre; ``break_count`` lets an exchange notice that it was cut meanwhile."""

    up: bool = True
    break_count: int = 0
    rate_bytes_per_s: float = 1e6
    rtt_s: float = 0.05
    clogged: bool = False

    def set_up(self, up: bool) -> None:
        if self.up and not up:
            self.break_count += 1
        self.up = up


@dataclass(slots=True)
class Answer:
    """What the unit gets to see of one instance sent: nothing (``None``), or taken, or a failure."""

    failure: Failure | None = None
    silent: bool = False
    twice: bool = False
    ends_attempt: Failure | None = None


@dataclass(slots=True)
class Look:
    """What the unit gets to see when it asks for proof."""

    evidence: Evidence | None = None
    failure: Failure | None = None
    absent: bool = False
    sop_instance_uid: str = ""
    destination: str = ""


@dataclass(slots=True)
class Centre:
    """What it holds, what it has not written to disk yet, and what is wrong with it."""

    name: str
    rng: random.Random
    held: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Durable: digest and the moment from which on it is, by SOP Instance UID."""
    unsynced: dict[str, str] = field(default_factory=dict)
    moods: dict[str, float] = field(default_factory=dict)
    poisons: dict[str, str] = field(default_factory=dict)
    proved: dict[str, float] = field(default_factory=dict)
    """When it last truly proved to hold our bytes, by SOP Instance UID."""
    received_count: int = 0
    overwrites: bool = False
    """What comes under a known UID takes the place of what was there; others keep the first."""

    def feels(self, mood: str) -> bool:
        share = self.moods.get(mood)
        return share is not None and self.rng.random() < share

    def receive(self, item: OutboxItem, sha256: str, now: float) -> Answer:
        """One instance arrives."""
        poison = self.poisons.get(item.sop_instance_uid)
        if poison == "break-link":
            return Answer(ends_attempt=link_failure("peer-reset"))
        if poison == "end-attempt":
            return Answer(ends_attempt=transient("aborted"))
        if poison == "lost":
            return Answer()
        if poison is not None:
            return Answer(failure=transient(f"http-{poison}"))
        if self.moods:
            answer = self._in_a_mood(item)
            if answer is not None:
                return answer
        self.received_count += 1
        if item.sop_instance_uid not in self.held or self.overwrites:
            self._take(item.sop_instance_uid, OTHER if self.feels("other-bytes") else sha256, now)
        if self.feels("silent") or self.feels("lost-reply"):
            return Answer(silent=True)
        return Answer(twice=self.feels("twice"))

    def _in_a_mood(self, item: OutboxItem) -> Answer | None:
        if self.feels("portal"):
            return Answer(ends_attempt=link_failure("portal"))
        if self.feels("busy"):
            return Answer(failure=transient("http-503", self.rng.choice((None, 1.0, 30.0, 1e9, -5.0))))
        if self.feels("error"):
            return Answer(failure=transient("http-500"))
        if self.feels("full"):
            return Answer(ends_attempt=transient("http-507", self.rng.choice((None, 120.0))))
        if self.feels("refuse"):
            return Answer(failure=permanent("http-400"))
        if self.feels("gone"):
            return Answer(ends_attempt=permanent("not-allowed"))
        if self.feels("lies"):
            return Answer()  # says yes and keeps nothing
        return None

    def _take(self, sop_instance_uid: str, sha256: str, now: float) -> None:
        if self.rng.random() < 0.5:
            self.held[sop_instance_uid] = (sha256, now)
        else:
            self.unsynced[sop_instance_uid] = sha256

    def sync(self, now: float) -> None:
        """Everything received so far becomes durable."""
        for uid, sha256 in self.unsynced.items():
            if uid not in self.held or (self.overwrites and self.held[uid][0] != sha256):
                self.held[uid] = (sha256, now)
        self.unsynced.clear()

    def crash(self) -> None:
        self.unsynced.clear()

    def restore(self, now: float, age_s: float) -> None:
        """Back to the backup that was taken ``age_s`` ago."""
        self.unsynced.clear()
        self.held = {uid: kept for uid, kept in self.held.items() if kept[1] <= now - age_s}

    def prove(self, item: OutboxItem, now: float, earlier: tuple[str, ...] = ()) -> Look:
        """Asked to show one instance; what it was before means nothing to a PACS."""
        uid = item.sop_instance_uid
        if self.feels("no-proof"):
            return Look(failure=transient("commitment-pending"))
        if self.feels("false-proof"):
            return self._false_proof(item)
        if uid in self.unsynced:
            if self.rng.random() < 0.3:
                return Look(failure=transient("not-yet"))
            self.sync(now)
        kept = self.held.get(uid)
        if kept is None:
            return Look(failure=transient("absent"), absent=True)
        if kept[0] != item.sha256:
            return Look(failure=permanent("digest-conflict"))
        self.proved[uid] = now
        return Look(Evidence("wado", kept[0]), sop_instance_uid=uid, destination=self.name)

    def _false_proof(self, item: OutboxItem) -> Look:
        """A proof, but not for this: another digest, another instance, another centre."""
        evidence, other = Evidence("wado", item.sha256), Evidence("wado", OTHER)
        uid = item.sop_instance_uid
        choices = (
            Look(other, sop_instance_uid=uid, destination=self.name),
            Look(evidence, sop_instance_uid=uid + ".9", destination=self.name),
            Look(evidence, sop_instance_uid=uid, destination="elsewhere"),
            Look(Evidence("hope", item.sha256), sop_instance_uid=uid, destination=self.name),
        )
        return self.rng.choice(choices)

    def heal(self, item_sha256: dict[str, str], now: float) -> None:
        """People have mended it: no mood, no poison, no foreign bytes under our UIDs."""
        self.moods.clear()
        self.poisons.clear()
        self.sync(now)
        self.held = {uid: kept for uid, kept in self.held.items() if item_sha256.get(uid, kept[0]) == kept[0]}
