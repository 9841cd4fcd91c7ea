"""What is heard of bytes, hours and kinds of link: the measured rate, the day's budget, and who must stop for them."""

from __future__ import annotations

from sync.core.allowance import Wall
from sync.core.effects import NoteRate, NoteUsage
from sync.core.events import BytesMoved, ClockSeen, LinkKindChanged, RoundTripSeen
from sync.core.rate import RateEstimator
from sync.core.state import Turn


def bytes_moved(turn: Turn, event: BytesMoved) -> None:
    """Book the bytes, also those of an attempt that nobody remembers: they were spent."""
    allowance = turn.state.allowance
    if event.link_bytes > 0 and allowance.counts:
        allowance.spend(event.link_bytes)
        turn.emit(NoteUsage(allowance.kind, allowance.wall.day if allowance.wall else "", event.link_bytes))
    lane = turn.state.lanes.get(event.destination)
    if lane is None:
        return
    if lane.rate.moved(event.link_bytes, event.duration_s):
        turn.emit(NoteRate(lane.destination, lane.rate.goodput, lane.rate.round_trip_s))
    for batch in lane.batches:
        if batch.transfer_id == event.transfer_id and event.link_bytes > 0:
            lane.work = lane.work or (batch.aged and not batch.moved)  # now it may make way
            batch.moved = True


def round_trip_seen(turn: Turn, event: RoundTripSeen) -> None:
    """Remember how long an answer takes."""
    lane = turn.state.lanes.get(event.destination)
    if lane is not None and lane.rate.round_trip(event.duration_s):
        turn.emit(NoteRate(lane.destination, lane.rate.goodput, lane.rate.round_trip_s))


def link_kind_changed(turn: Turn, event: LinkKindChanged) -> None:
    """Another link: what was measured on the one before means nothing any more."""
    if event.kind is turn.state.allowance.kind:
        return
    turn.state.allowance.kind = event.kind
    for lane in turn.state.lanes.values():
        if lane.rate.goodput is not None or lane.rate.round_trip_s is not None:
            turn.emit(NoteRate(lane.destination, None, None))
        lane.rate = RateEstimator()


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
