"""Plays ``sync/adapters/gateway`` against the simulated gateway: announce, append from its offset on, resume, ask.

Bytes on the way are those of one append; what arrived before a cut stays, so a cut costs no more than the window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.domain.failure import Failure
from appliance.domain.limits import KIB
from appliance.domain.values import OutboxItem
from sync.core.effects import StartTransfer, Step
from sync.core.events import BytesMoved, Event, ItemAccepted, ItemAnnounced, ItemFailed, TransferEnded
from tests.simulation.centre import Path, link_failure, transient
from tests.simulation.gateway import Gateway, coded_bytes
from tests.simulation.script import NO_PREVIEW

if TYPE_CHECKING:
    from tests.simulation.runner import RunnerModel

STALL_S = 30.0
APPEND_S = 8.0
APPEND_BYTES_MAX = 512 * KIB
APPEND_BYTES_MIN = 64 * KIB
WINDOW_BYTES = 64 * KIB
"""Sent and not arrived when a cut comes."""
PREVIEW_BYTES = 60 * KIB


@dataclass(slots=True)
class Append:
    """One on its way; ``cut_short`` is for whatever cuts it."""

    action: StartTransfer
    gateway: Gateway
    path: Path
    item: OutboxItem
    link_bytes: int
    started_s: float
    lost_window_bytes: int

    def cut_short(self, now: float) -> int:
        """Let arrive what was far enough; the bytes that were sent in all."""
        sent = min(self.link_bytes, int(max(0.0, now - self.started_s - self.path.rtt_s) * self.path.rate_bytes_per_s))
        self.gateway.append(self.item, max(0, sent - self.lost_window_bytes))
        return sent


@dataclass(slots=True)
class Talking:
    """One running transfer at a gateway; two may run side by side."""

    runner: RunnerModel
    action: StartTransfer
    position: int = 0
    bytes_sent: int = 0
    outcome_count: int = 0
    break_count: int = 0
    append: Append | None = None

    @property
    def gateway(self) -> Gateway:
        gateway = self.runner.world.centres[self.action.destination]
        assert isinstance(gateway, Gateway)
        return gateway

    @property
    def path(self) -> Path:
        return self.runner.world.paths[self.action.destination]

    @property
    def item(self) -> OutboxItem:
        return self.action.items[self.position]

    def next_item(self) -> None:
        """Begin with the next item, unless told to stop."""
        world = self.runner.world
        if not self._may_go_on():
            return
        if self.position == len(self.action.items):
            self._end(None)
            return
        found_sha256 = world.corrections.file_of(self.item)
        if not self.runner.finds_good(found_sha256, self.item.sha256):
            self._failed(transient("digest-mismatch"))
            return
        world.check.item_is_sent(self.item, found_sha256, self.action)
        self.break_count = self.path.break_count
        if self.path.clogged:
            world.later(STALL_S, lambda: self._end(link_failure("stalled")))
            return
        self._exchange(0, self._told)

    def _may_go_on(self) -> bool:
        """False when the process is gone, or the attempt was called off: then it ends here."""
        if self.runner.world.runner is not self.runner:
            return False
        if self.action.transfer_id in self.runner.cancelled:
            self._end(None)
            return False
        return True

    def _exchange(self, link_bytes: int, then: Callable[[], None]) -> None:
        duration_s = self.path.rtt_s + link_bytes / self.path.rate_bytes_per_s
        self.runner.world.later(duration_s, then)

    @property
    def _broken(self) -> bool:
        return not self.path.up or self.path.break_count != self.break_count

    def _told(self) -> None:
        """The answer to the manifest."""
        gateway, item = self.gateway, self.item
        if self._broken or gateway.feels("portal") or gateway.poisons.get(item.sop_instance_uid) == "break-link":
            self._end(link_failure())
            return
        if gateway.feels("silent"):
            self.runner.world.later(STALL_S, lambda: self._failed(transient("timeout")))
            return
        self.runner.hear_epoch(self.action.destination)
        end = gateway.end_of_talk(item)
        if end is not None:
            self._end(end)
            return
        world = self.runner.world
        failure = gateway.welcome(item, world.store.earlier_digests(item), world.now)
        if failure is not None:
            self._failed(failure)
        elif self.action.step is Step.ANNOUNCE:
            self._exchange(0 if item.sop_instance_uid in gateway.told else PREVIEW_BYTES, self._shown)
        elif gateway.poisons.get(item.sop_instance_uid) == "lost":
            self._failed(transient("unanswered"))
        else:
            self._append_or_finish()

    def _shown(self) -> None:
        """The preview went over."""
        if self._broken:
            self._end(link_failure())
            return
        if self.gateway.poisons.get(self.item.sop_instance_uid) == NO_PREVIEW:
            self._end(transient("internal"))  # whatever makes its preview dies of it
            return
        self.gateway.show(self.item, self.runner.world.now)
        self._moved(PREVIEW_BYTES)
        self._report(ItemAnnounced(self.action.transfer_id, self.item.item_id))

    def _append_or_finish(self) -> None:
        """The next append from where the gateway says it is, or the end of this item."""
        world, gateway, item = self.runner.world, self.gateway, self.item
        left = coded_bytes(item) - gateway.offset(item)
        if left <= 0:
            world.sent_at[item.item_id] = world.now
            failure = gateway.finish(item, world.now)
            if failure is not None:
                self._failed(failure)
            else:
                self._report(ItemAccepted(self.action.transfer_id, item.item_id))
            return
        world.check.append_starts(self.action, item)
        fits = min(APPEND_BYTES_MAX, max(APPEND_BYTES_MIN, int(self.path.rate_bytes_per_s * APPEND_S)))
        lost = world.rng.randrange(WINDOW_BYTES)
        self.append = Append(self.action, gateway, self.path, item, min(left, fits), world.now, lost)
        world.appends[id(self.append)] = self.append
        self.break_count = self.path.break_count
        if self.path.clogged:
            world.later(STALL_S, self._stalled)
        else:
            self._exchange(self.append.link_bytes, self._appended)

    def _stalled(self) -> None:
        assert self.append is not None
        del self.runner.world.appends[id(self.append)]
        self._end(link_failure("stalled"))

    def _appended(self) -> None:
        """The answer to an append, or the news that it was cut."""
        world, append = self.runner.world, self.append
        assert append is not None
        del world.appends[id(append)]
        if self._broken:
            world.traffic.was_cut(self.action.destination)
            self._moved(append.cut_short(world.now - world.rng.uniform(0.0, world.now - append.started_s)))
            self._end(link_failure())
            return
        self.gateway.append(append.item, append.link_bytes)
        self._moved(append.link_bytes)
        if self.gateway.feels("lost-reply"):
            world.later(STALL_S, self._ask_where)
        else:
            self._ask_where()

    def _ask_where(self) -> None:
        """Go on where the gateway is, whatever the last answer was."""
        if self._may_go_on():
            self._append_or_finish()

    def _moved(self, link_bytes: int) -> None:
        world, action = self.runner.world, self.action
        self.bytes_sent += link_bytes
        world.traffic.bytes_moved(action, self.item, link_bytes)
        self.runner.feed(BytesMoved(action.destination, action.transfer_id, link_bytes, 1.0))

    def _report(self, event: Event) -> None:
        self.outcome_count += 1
        self.runner.feed(event)
        if self.gateway.feels("twice"):
            self.runner.feed(event)
        self._go_on()

    def _failed(self, failure: Failure) -> None:
        if self.runner.world.runner is self.runner:
            self.runner.feed(ItemFailed(self.action.transfer_id, self.item.item_id, failure))
            self._go_on()

    def _go_on(self) -> None:
        self.position += 1
        if self.runner.world.runner is self.runner:  # else the power went while we reported
            self.next_item()

    def _end(self, failure: Failure | None) -> None:
        action, world = self.action, self.runner.world
        if not self.outcome_count and action.transfer_id not in self.runner.cancelled:
            world.check.transfer_was_fruitless(action.destination)
        coded = tuple((item.item_id, coded_bytes(item)) for item in action.items[: self.position])
        self.runner.feed(TransferEnded(action.transfer_id, self.bytes_sent, failure, coded))
