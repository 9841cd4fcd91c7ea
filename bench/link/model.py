"""What a link does to packets, as a pure function of the times and packets it is given and a seed.

Times are seconds on one monotonic clock that the caller reads; nothing here reads one. The same calls give the same
result to the last packet, so that a test needs no network and a run can be repeated.

The order along one direction: outage, NAT, queue (tail drop), the wire (takes size / rate), random loss, delay.
"""

from __future__ import annotations

import dataclasses
import enum
import heapq
import math
import random

from bench.link.flows import Flows
from bench.link.packet import Segment, is_ipv4, read_segment
from bench.link.schedule import Schedule
from bench.link.spec import Direction, LinkSpec, OutageKind
from bench.link.streams import StreamBytes


class End(enum.Enum):
    """The two ends of a link."""

    UNIT = "unit"
    CENTRE = "centre"

    @property
    def other(self) -> End:
        return End.CENTRE if self is End.UNIT else End.UNIT


@dataclasses.dataclass(slots=True)
class Tally:
    """Packets and their bytes, IP header included."""

    packet_count: int = 0
    ip_bytes: int = 0

    def add(self, packet: bytes) -> None:
        self.packet_count += 1
        self.ip_bytes += len(packet)


@dataclasses.dataclass(slots=True)
class Counters:
    """What became of the packets of one direction; ``offered`` is the sum of the others and what is still under way."""

    offered: Tally = dataclasses.field(default_factory=Tally)
    delivered: Tally = dataclasses.field(default_factory=Tally)
    lost: Tally = dataclasses.field(default_factory=Tally)
    """At random, after they used the link."""
    overflowed: Tally = dataclasses.field(default_factory=Tally)
    """The queue was full."""
    away: Tally = dataclasses.field(default_factory=Tally)
    """The link was away, or went away before they were through."""
    forgotten: Tally = dataclasses.field(default_factory=Tally)
    """Of flows that the NAT no longer knows."""

    @property
    def carried_bytes(self) -> int:
        """What the link's rate was spent on, and what a carrier bills."""
        return self.delivered.ip_bytes + self.lost.ip_bytes


class Lane:
    """One direction: a queue before a wire of limited rate, then loss and delay."""

    def __init__(self, spec: Direction, seed: str) -> None:
        self._spec = spec
        self._loss = random.Random(f"{seed}/loss")
        self._jitter = random.Random(f"{seed}/jitter")
        self._queue_s_max = math.inf if math.isinf(spec.rate_bps) else spec.queue_bytes_max * 8 / spec.rate_bps
        self._idle_at_s = -math.inf
        self._last_due_s = -math.inf
        self._serial = 0
        self._under_way: list[tuple[float, int, bytes]] = []
        self.counters = Counters()

    def offer(self, now_s: float, packet: bytes) -> None:
        """Take a packet into the queue, or drop it when it does not fit."""
        spec = self._spec
        starts_at_s = max(now_s, self._idle_at_s)
        leaves_at_s = starts_at_s + len(packet) * 8 / spec.rate_bps
        if leaves_at_s - now_s > self._queue_s_max:
            self.counters.overflowed.add(packet)
            return
        self._idle_at_s = leaves_at_s
        if self._loss.random() < spec.loss:
            self.counters.lost.add(packet)
            return
        due_s = leaves_at_s + spec.delay_s
        if spec.jitter_s:
            due_s += self._jitter.random() * spec.jitter_s
        if not spec.reorder:
            due_s = max(due_s, self._last_due_s)
        self._last_due_s = due_s
        self._serial += 1
        heapq.heappush(self._under_way, (due_s, self._serial, packet))

    def next_due_s(self) -> float:
        """When the next packet arrives; infinity when none is under way."""
        return self._under_way[0][0] if self._under_way else math.inf

    def take_due(self, now_s: float) -> list[bytes]:
        """What has arrived by now, in order."""
        due = []
        while self._under_way and self._under_way[0][0] <= now_s:
            packet = heapq.heappop(self._under_way)[2]
            self.counters.delivered.add(packet)
            due.append(packet)
        return due

    def cut(self, at_s: float) -> None:
        """Lose everything queued or under way."""
        for _, _, packet in self._under_way:
            self.counters.away.add(packet)
        self._under_way.clear()
        self._idle_at_s = self._last_due_s = at_s


class LinkModel:
    """Both directions and the outages of one link, from the moment it was started."""

    def __init__(self, spec: LinkSpec, seed: int, start_s: float) -> None:
        self.start_s = self._now_s = start_s
        self._lanes = {End.UNIT: Lane(spec.up, f"{seed}/up"), End.CENTRE: Lane(spec.down, f"{seed}/down")}
        self._streams = {end: StreamBytes() for end in End}
        self._schedule = Schedule(spec.outage)
        self._flows: Flows | None = None
        if spec.outage is not None and spec.outage.kind is not OutageKind.SILENT:
            self._flows = Flows(resets=spec.outage.kind is OutageKind.RESET)
        self._outage_number = 0
        self._is_away = False
        self._arrived: list[tuple[End, bytes]] = []
        self._end_of_address: dict[bytes, End] = {}
        self.resets_sent = 0

    @property
    def up(self) -> Counters:
        return self._lanes[End.UNIT].counters

    @property
    def down(self) -> Counters:
        return self._lanes[End.CENTRE].counters

    def stream_bytes(self, source: End) -> int:
        """Bytes of data that programs at this end gave to TCP, as far as they were offered; repeats count once."""
        return self._streams[source].total_bytes

    def offer(self, now_s: float, source: End, packet: bytes) -> None:
        """A packet that one end sent; ``now_s`` never goes back. What is no IPv4 vanishes uncounted."""
        if not is_ipv4(packet):
            return
        self._turn(now_s)
        lane = self._lanes[source]
        lane.counters.offered.add(packet)
        segment = read_segment(packet)
        if segment is not None and segment.is_tcp:
            self._streams[source].note(segment)
        knows = self._flows is None or segment is None or self._knows(self._flows, source, segment)
        if self._is_away:
            lane.counters.away.add(packet)
        elif knows:
            lane.offer(now_s, packet)
        else:
            lane.counters.forgotten.add(packet)

    def advance(self, now_s: float) -> list[tuple[End, bytes]]:
        """What has arrived by now, each with the end it arrived at, in order at each end."""
        self._turn(now_s)
        self._deliver(now_s)
        arrived, self._arrived = self._arrived, []
        return arrived

    def next_event_s(self) -> float:
        """When ``advance`` has something to do next, perhaps at once; infinity when nothing is planned."""
        if self._arrived:
            return self._now_s
        return min(self._turns_at_s(), *(lane.next_due_s() for lane in self._lanes.values()))

    def _turns_at_s(self) -> float:
        after_s = (self._schedule.end_s if self._is_away else self._schedule.start_s)(self._outage_number)
        return self.start_s + after_s

    def _turn(self, now_s: float) -> None:
        """Go through every begin and end of an outage that is due."""
        self._now_s = now_s
        while (at_s := self._turns_at_s()) <= now_s:
            self._is_away = not self._is_away
            if self._is_away:
                self._deliver(at_s)
                for lane in self._lanes.values():
                    lane.cut(at_s)
            else:
                self._outage_number += 1
                self._forget()

    def _deliver(self, now_s: float) -> None:
        for source, lane in self._lanes.items():
            self._arrived += [(source.other, packet) for packet in lane.take_due(now_s)]

    def _knows(self, flows: Flows, source: End, segment: Segment) -> bool:
        self._end_of_address[segment.source[:4]] = source
        if self._is_away:
            flows.note_blocked(segment)
            return False
        if flows.passes(segment):
            return True
        reset = flows.answer(segment)
        if reset is not None:
            self._send_reset(source, reset)
        return False

    def _forget(self) -> None:
        if self._flows is not None:
            for end, reset in self._flows.forget():
                self._send_reset(self._end_of_address[end[:4]], reset)

    def _send_reset(self, target: End, reset: bytes) -> None:
        self._arrived.append((target, reset))
        self.resets_sent += 1
