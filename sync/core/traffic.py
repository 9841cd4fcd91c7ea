"""What is heard of bytes, hours and kinds of link: the measured rate, the day's budget, and who must stop for them."""

from __future__ import annotations

from sync.core.allowance import Wall
from sync.core.effects import NoteRate, NoteUsage, Step
from sync.core.events import BytesMoved, ClockSeen, LinkKindChanged, RoundTripSeen
from sync.core.rate import RateEstimator
from sync.core.state import Turn

MEASURING_BYTES_MIN = 32 * 1024
"""Fewer, of previews, say how long an answer takes, not how fast the link is."""


def bytes_moved(turn: Turn, event: BytesMoved) -> None:
    """Book the bytes, also those of an attempt that nobody remembers: they were spent."""
    allowance = turn.state.allowance
    if event.link_bytes > 0 and allowance.counts:
        allowance.spend(event.link_bytes)
        turn.emit(NoteUsage(allowance.kind, allowance.wall.day if allowance.wall else "", event.link_bytes))
    lane = turn.state.lanes.get(event.destination)
    if lane is None:
        return
    batch = next((each for each in lane.batches if each.transfer_id == event.transfer_id), None)
    # Transfers overlap: no second is counted twice.
    duration_s = min(event.duration_s, turn.now - lane.moved_mono_s)
    lane.moved_mono_s = turn.now
    is_whole = batch is not None and batch.step is Step.FULL
    if (is_whole or event.link_bytes >= MEASURING_BYTES_MIN) and lane.rate.moved(event.link_bytes, duration_s):
        turn.emit(NoteRate(lane.destination, lane.rate.goodput, lane.rate.round_trip_s))
    if batch is not None and event.link_bytes > 0:
        lane.work = lane.work or (batch.aged and not batch.moved)  # now it may make way
        batch.moved = True


def round_trip_seen(turn: Turn, event: RoundTripSeen) -> None:
    """Remember how long an answer takes."""
    lane = turn.state.lanes.get(event.destination)
    if lane is not None and lane.rate.round_trip(event.duration_s):
        turn.emit(NoteRate(lane.destination, lane.rate.goodput, lane.rate.round_trip_s))


def link_kind_changed(turn: Turn, event: LinkKindChanged) -> None:
    """Another link: what was measured on the one before means nothing any more, unless it comes back at once."""
    allowance = turn.state.allowance
    left = allowance.kind
    if event.kind is left:
        return
    is_back = allowance.change_to(event.kind, turn.now, turn.policy.limits.link_kind_settle_s)
    for lane in turn.state.lanes.values():
        before, lane.rates_left[left] = lane.rate, lane.rate
        after = lane.rates_left.get(event.kind) if is_back else None
        lane.rate = after or RateEstimator()
        if (lane.rate.goodput, lane.rate.round_trip_s) != (before.goodput, before.round_trip_s):
            turn.emit(NoteRate(lane.destination, lane.rate.goodput, lane.rate.round_trip_s))


def clock_seen(turn: Turn, event: ClockSeen) -> None:
    """The clock and the account of the day, as the store has it: all that was spent before is committed."""
    allowance = turn.state.allowance
    allowance.wall = Wall(turn.now, event.wall_s, event.day, event.second_of_day, event.verified)
    allowance.used_bytes = dict(event.used)


def note_what_is_allowed(turn: Turn) -> None:
    """Look for work again when something may go that could not a moment ago."""
    allowed = turn.allowed
    if allowed - turn.state.allowed_last:
        for lane in turn.state.lanes.values():
            lane.work = True
    turn.state.allowed_last = allowed
    turn.state.edge_mono_s = turn.state.allowance.next_edge(turn.now)
