"""The link emulator's model, with a clock that the test holds: rates, queues, losses, outages and resets."""

from __future__ import annotations

import dataclasses
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.link import words
from bench.link.model import Counters, End, LinkModel
from bench.link.named import LINKS
from bench.link.packet import make_reset, read_segment
from bench.link.report import Report
from bench.link.schedule import Schedule
from bench.link.spec import Direction, LinkSpec, Outage, OutageKind

UNIT, CENTRE = b"\x0a\x4d\x00\x01", b"\x0a\x4d\x00\x02"
SYN, RST, ACK, PSH = 0x02, 0x04, 0x10, 0x08


def packet(size_bytes: int = 1500, source: bytes = UNIT, protocol: int = 1, body: bytes = b"") -> bytes:
    """An IPv4 packet of that size between the two ends; ICMP unless told."""
    target = CENTRE if source == UNIT else UNIT
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size_bytes, 0, 0x4000, 64, protocol, 0, source, target)
    return (header + body).ljust(size_bytes, b"\0")


def tcp(source: bytes, flags: int, sequence: int = 0, acknowledges: int = 0, payload_bytes: int = 0) -> bytes:
    """A segment of the one flow of these tests: the unit's port 40000 to the centre's 443."""
    ports = (40_000, 443) if source == UNIT else (443, 40_000)
    body = struct.pack("!HHIIBBHHH", *ports, sequence % 2**32, acknowledges, 5 << 4, flags, 0, 0, 0)
    return packet(40 + payload_bytes, source, 6, body)


def udp(source: bytes) -> bytes:
    ports = (5000, 53) if source == UNIT else (53, 5000)
    return packet(60, source, 17, struct.pack("!HHHH", *ports, 40, 0))


def up(*, seed: int = 1, **direction: object) -> LinkModel:
    """A link that is special on its way up only, started at 100 s."""
    return LinkModel(LinkSpec(up=Direction(**direction)), seed, 100.0)  # type: ignore[arg-type]


def with_outage(kind: OutageKind, every_s: float | None = None) -> LinkModel:
    """10 s up, then 5 s away; 1 s of delay."""
    direction = Direction(delay_s=1.0)
    return LinkModel(LinkSpec(direction, direction, Outage(10.0, 5.0, every_s, kind)), 1, 100.0)


def arrivals(model: LinkModel, until_s: float) -> list[tuple[float, End, bytes]]:
    """Everything that arrives until then, each with its time, as the emulator's loop would deliver it."""
    found = []
    while (at_s := model.next_event_s()) <= until_s:
        found += [(at_s, end, each) for end, each in model.advance(at_s)]
    return found


def test_packets_leave_one_after_the_other_at_the_rate_and_arrive_after_the_delay() -> None:
    model = up(rate_bps=1e6, delay_s=0.075)
    for _ in range(3):
        model.offer(100.0, End.UNIT, packet(1500))
    assert [round(at_s - 100, 6) for at_s, _, _ in arrivals(model, 200)] == [0.087, 0.099, 0.111]


def test_rate_counts_the_whole_ip_packet_and_idle_time_is_not_saved_up() -> None:
    model = up(rate_bps=8000)
    model.offer(100.0, End.UNIT, packet(500))
    model.offer(107.0, End.UNIT, packet(1000))
    assert [at_s for at_s, _, _ in arrivals(model, 200)] == [100.5, 108.0]


def test_queue_drops_what_does_not_fit_and_takes_more_once_some_has_left() -> None:
    model = up(rate_bps=12_000, queue_bytes=4500)
    for _ in range(5):
        model.offer(100.0, End.UNIT, packet(1500))
    model.offer(101.0, End.UNIT, packet(1500))
    assert model.up.overflowed.packet_count == 2
    assert [at_s for at_s, _, _ in arrivals(model, 200)] == [101.0, 102.0, 103.0, 104.0]


def test_queue_that_is_not_given_holds_a_time_at_the_rate_but_some_packets_at_least() -> None:
    assert Direction(rate_bps=1e6).queue_bytes_max == 37_500
    assert Direction(rate_bps=200e3).queue_bytes_max == 30_000
    assert Direction().queue_bytes_max == math.inf


def test_losses_follow_from_the_seed_alone() -> None:
    def lost(seed: int, *, traffic_down: bool = False) -> list[int]:
        model = LinkModel(LinkSpec(up=Direction(loss=0.1), down=Direction(loss=0.5)), seed, 100.0)
        gone = []
        for number in range(500):
            before = model.up.lost.packet_count
            model.offer(100.0 + number, End.UNIT, packet())
            gone += [number] * (model.up.lost.packet_count - before)
            if traffic_down:
                model.offer(100.0 + number, End.CENTRE, packet(source=CENTRE))
        return gone

    assert lost(1) == lost(1, traffic_down=True)
    assert lost(1) != lost(2)
    assert 25 <= len(lost(1)) <= 75


def test_lost_packet_used_the_link_all_the_same() -> None:
    model = up(rate_bps=12_000, loss=1.0)
    model.offer(100.0, End.UNIT, packet(1500))
    assert arrivals(model, 200) == []
    assert model.up.carried_bytes == 1500
    assert model.up.delivered.packet_count == 0


@pytest.mark.parametrize("reorder", [False, True])
def test_jitter_spreads_arrivals_and_reorders_only_when_told_to(reorder: bool) -> None:
    model = up(delay_s=1.0, jitter_s=0.5, reorder=reorder)
    sent = [packet(100 + number) for number in range(100)]
    for number, each in enumerate(sent):
        model.offer(100.0 + number / 100, End.UNIT, each)
    arrived = arrivals(model, 200)
    assert sorted(each for _, _, each in arrived) == sent
    assert ([each for _, _, each in arrived] == sent) is not reorder
    late_s = [at_s - (100.0 + len(each) / 100 - 1) for at_s, _, each in arrived]
    assert all(0.999 <= each <= 1.501 for each in late_s)
    assert len(set(late_s)) > 50


def test_outage_takes_what_is_under_way_and_what_is_sent_and_passes_again_afterwards() -> None:
    model = with_outage(OutageKind.SILENT)
    arrived = []
    for at_s in (108.5, 109.5, 110.0, 114.9, 115.0):
        arrived += arrivals(model, at_s)
        model.offer(at_s, End.UNIT, packet())
    arrived += arrivals(model, 200)
    assert [at_s for at_s, _, _ in arrived] == [109.5, 116.0]
    assert model.up.away.packet_count == 3
    assert model.up.offered.packet_count == 5


def test_queue_is_empty_after_an_outage() -> None:
    spec = LinkSpec(up=Direction(rate_bps=12_000, queue_bytes=30_000), outage=Outage(10.0, 5.0))
    model = LinkModel(spec, 1, 0.0)
    for _ in range(20):
        model.offer(9.5, End.UNIT, packet(1500))
    model.offer(15.0, End.UNIT, packet(1500))
    assert [at_s for at_s, _, _ in arrivals(model, 200)] == [16.0]


def test_repeated_outages_come_when_planned_also_when_nobody_looked_meanwhile() -> None:
    model = with_outage(OutageKind.SILENT, every_s=60.0)
    through = []
    for second in range(0, 180, 5):
        before = model.up.away.packet_count
        model.offer(100.0 + second, End.UNIT, packet())
        if model.up.away.packet_count == before:
            through.append(second)
    away = [second for second in range(0, 180, 5) if second % 60 == 10]
    assert through == [second for second in range(0, 180, 5) if second not in away]
    jumped = with_outage(OutageKind.SILENT, every_s=60.0)
    jumped.offer(251.0, End.UNIT, packet())
    assert [at_s for at_s, _, _ in arrivals(jumped, 251.9)] == []
    assert [at_s for at_s, _, _ in arrivals(jumped, 252.0)] == [252.0]


def test_schedule_tells_outages_and_the_time_up() -> None:
    schedule = Schedule(Outage(40.0, 20.0, 60.0))
    assert schedule.until(101.0) == [(40.0, 60.0), (100.0, 120.0)]
    assert schedule.up_s(110.0) == 80.0
    assert Schedule(None).until(1e9) == []
    assert Schedule(Outage(1.0, 2.0)).until(1e9) == [(1.0, 3.0)]


def open_flow(model: LinkModel) -> None:
    """The three packets that open the flow, and the unit's first data, all arrived before the outage."""
    model.offer(101.0, End.UNIT, tcp(UNIT, SYN, 1000))
    model.offer(102.0, End.CENTRE, tcp(CENTRE, SYN | ACK, 9000, 1001))
    model.offer(103.0, End.UNIT, tcp(UNIT, ACK, 1001, 9001, payload_bytes=500))
    model.offer(104.0, End.CENTRE, tcp(CENTRE, ACK, 9001, 1501))
    assert len(arrivals(model, 109.0)) == 4


def test_flows_seen_before_an_outage_are_forgotten_for_ever_and_new_ones_pass() -> None:
    model = with_outage(OutageKind.FORGET)
    open_flow(model)
    model.offer(109.0, End.UNIT, udp(UNIT))
    arrivals(model, 115.0)
    for at_s in (116.0, 500.0):
        model.offer(at_s, End.UNIT, tcp(UNIT, ACK | PSH, 1501, 9001, payload_bytes=100))
        model.offer(at_s, End.CENTRE, tcp(CENTRE, ACK, 9001, 1501))
        model.offer(at_s, End.CENTRE, udp(CENTRE))
    assert arrivals(model, 600.0) == []
    assert (model.up.forgotten.packet_count, model.down.forgotten.packet_count) == (2, 4)
    assert model.resets_sent == 0
    model.offer(700.0, End.UNIT, tcp(UNIT, SYN, 5000))  # the same port again
    model.offer(701.0, End.CENTRE, tcp(CENTRE, SYN | ACK, 7000, 5001))
    model.offer(702.0, End.UNIT, packet())  # an ICMP echo knows no flow
    assert len(arrivals(model, 800.0)) == 3


def test_silent_outage_leaves_flows_as_they_were() -> None:
    model = with_outage(OutageKind.SILENT)
    open_flow(model)
    model.offer(116.0, End.UNIT, tcp(UNIT, ACK, 1501, 9001))
    assert len(arrivals(model, 200.0)) == 1


def test_syn_that_an_outage_swallowed_opens_no_flow_and_its_repeat_does() -> None:
    model = with_outage(OutageKind.FORGET, every_s=60.0)
    model.offer(112.0, End.UNIT, tcp(UNIT, SYN, 1000))
    model.offer(116.0, End.UNIT, tcp(UNIT, SYN, 1000))
    model.offer(117.0, End.CENTRE, tcp(CENTRE, SYN | ACK, 9000, 1001))
    assert len(arrivals(model, 169.0)) == 2
    model.offer(176.0, End.CENTRE, tcp(CENTRE, ACK, 9001, 1001))
    assert arrivals(model, 229.0) == []


def test_reset_at_the_end_of_an_outage_carries_what_each_end_expects() -> None:
    model = with_outage(OutageKind.RESET)
    open_flow(model)
    model.offer(112.0, End.UNIT, tcp(UNIT, ACK, 1501, 9301))  # swallowed, but it tells what the unit has meanwhile
    resets = {end: each for at_s, end, each in arrivals(model, 200.0) if at_s == 115.0}
    assert set(resets) == {End.UNIT, End.CENTRE}
    assert resets[End.UNIT] == make_reset(CENTRE + b"\x01\xbb", UNIT + b"\x9c\x40", 9301)
    assert resets[End.CENTRE] == make_reset(UNIT + b"\x9c\x40", CENTRE + b"\x01\xbb", 1501)


def test_packet_of_a_reset_flow_is_answered_with_a_reset_and_a_reset_is_not() -> None:
    model = with_outage(OutageKind.RESET)
    open_flow(model)
    arrivals(model, 116.0)
    model.offer(117.0, End.CENTRE, tcp(CENTRE, RST | ACK, 9001, 1501))
    assert model.advance(117.0) == []
    model.offer(118.0, End.UNIT, tcp(UNIT, ACK, 1501, 9400))
    ((end, reset),) = model.advance(118.0)
    segment = read_segment(reset)
    assert end is End.UNIT
    assert segment is not None
    assert segment.resets
    assert struct.unpack_from("!I", reset, 24) == (9400,)


def test_reset_is_a_sound_packet() -> None:
    reset = make_reset(CENTRE + b"\x01\xbb", UNIT + b"\x9c\x40", 0xFFFFFFF0)
    assert len(reset) == 40
    assert ones_complement_sum(reset[:20]) == 0xFFFF
    pseudo = reset[12:20] + struct.pack("!HH", 6, 20)
    assert ones_complement_sum(pseudo + reset[20:]) == 0xFFFF
    assert reset[33] == RST


def ones_complement_sum(data: bytes) -> int:
    """RFC 1071; all ones over data that holds its right checksum."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return total % 0xFFFF or 0xFFFF


def test_stream_bytes_count_what_programs_said_once_and_every_connection_anew() -> None:
    model = with_outage(OutageKind.FORGET)
    wrap = 0xFFFFFF00
    said = [
        tcp(UNIT, SYN, wrap - 1),
        tcp(UNIT, ACK, wrap, payload_bytes=500),  # over the end of the sequence numbers
        tcp(UNIT, ACK, wrap, payload_bytes=500),  # repeated by TCP
        tcp(UNIT, ACK, wrap + 300, payload_bytes=400),  # repeated in part
        tcp(UNIT, ACK, 444),  # nothing
        udp(UNIT),
    ]
    for each in said:
        model.offer(101.0, End.UNIT, each)
    assert model.stream_bytes(End.UNIT) == 700
    model.offer(111.0, End.UNIT, tcp(UNIT, ACK, 444, payload_bytes=1000))  # swallowed by the outage, but said
    assert model.stream_bytes(End.UNIT) == 1700
    model.offer(116.0, End.UNIT, tcp(UNIT, SYN, 7))
    model.offer(117.0, End.UNIT, tcp(UNIT, ACK, 8, payload_bytes=1000))  # the same again on a new connection
    assert model.stream_bytes(End.UNIT) == 2700
    assert model.stream_bytes(End.CENTRE) == 0


def test_what_is_no_ipv4_vanishes_and_odd_ipv4_harms_nothing() -> None:
    model = with_outage(OutageKind.FORGET)
    for strange in (b"", b"\x60" + bytes(39), b"\x45" * 19, b"\x4f" + bytes(20), b"\x41" + bytes(40)):
        model.offer(101.0, End.UNIT, strange)
    assert model.up.offered.packet_count == 0
    model.offer(102.0, End.UNIT, packet(24, protocol=6))  # TCP without its header
    assert len(arrivals(model, 200.0)) == 1


@given(
    rate_bps=st.sampled_from([8e3, 1e5, math.inf]),
    loss=st.sampled_from([0.0, 0.3]),
    kind=st.sampled_from(OutageKind),
    gaps=st.lists(st.tuples(st.floats(0, 3), st.integers(28, 1500), st.booleans()), max_size=60),
)
def test_every_packet_is_accounted_for_and_no_rate_is_exceeded(
    rate_bps: float, loss: float, kind: OutageKind, gaps: list[tuple[float, int, bool]]
) -> None:
    direction = Direction(rate_bps=rate_bps, delay_s=0.3, jitter_s=0.2, loss=loss, queue_bytes=6000)
    model = LinkModel(LinkSpec(direction, direction, Outage(5.0, 2.0, 11.0, kind)), 7, 0.0)
    now_s = 0.0
    arrived = []
    for gap_s, size_bytes, is_up in gaps:
        now_s += gap_s
        arrived += arrivals(model, now_s)
        source = End.UNIT if is_up else End.CENTRE
        model.offer(now_s, source, packet(size_bytes, UNIT if is_up else CENTRE))
    arrived += arrivals(model, now_s + 60)
    for counters, end in ((model.up, End.CENTRE), (model.down, End.UNIT)):
        assert_accounts(counters)
        here = [each for _, arrived_at, each in arrived if arrived_at is end]
        assert len(here) == counters.delivered.packet_count
        assert sum(map(len, here)) == counters.delivered.ip_bytes
        largest_bits = 1500 * 8
        assert counters.carried_bytes * 8 <= rate_bps * (now_s + 8) + largest_bits
    times_s = [at_s for at_s, _, _ in arrived]
    assert times_s == sorted(times_s)


def assert_accounts(counters: Counters) -> None:
    """Everything offered became one of the other things, to the byte."""
    fates = [getattr(counters, field.name) for field in dataclasses.fields(counters) if field.name != "offered"]
    assert counters.offered.packet_count == sum(tally.packet_count for tally in fates)
    assert counters.offered.ip_bytes == sum(tally.ip_bytes for tally in fates)


@pytest.mark.parametrize("spec", [*LINKS.values(), LinkSpec()])
def test_specification_comes_back_from_json(spec: LinkSpec) -> None:
    assert LinkSpec.from_json(spec.to_json()) == spec


def test_report_comes_back_from_its_message() -> None:
    model = up(loss=0.5)
    for _ in range(9):
        model.offer(100.0, End.UNIT, packet())
    arrivals(model, 101.0)
    report = Report(100.0, 101.5, 0.25, 3, model.up, model.down, 11, 12)
    assert Report.decode(report.encode()) == report
    assert report.to_json()["up"]["carried_bytes"] == 9 * 1500


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_bps": 0},
        {"loss": 1.5},
        {"delay_s": -1},
        {"delay_s": math.nan},
        {"queue_bytes": 1499},
        {"rate_bps": math.nan},
    ],
)
def test_direction_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must|is a share|are finite"):
        Direction(**wrong)  # type: ignore[arg-type]


def test_outage_that_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Outage(0.0, 20.0, 20.0)


def test_people_write_rates_times_shares_and_outages() -> None:
    assert [words.rate_bps(text) for text in ("200k", "1M", "2.5Mbit", "9600", "inf")] == [
        2e5,
        1e6,
        2.5e6,
        9600,
        math.inf,
    ]
    assert [words.seconds(text) for text in ("75ms", "20s", "3")] == [0.075, 20.0, 3.0]
    assert [words.share(text) for text in ("0.5%", "0.02")] == [0.005, 0.02]
    assert words.outage("40s+20s/60s:forget") == Outage(40.0, 20.0, 60.0, OutageKind.FORGET)
    assert words.outage("5+500ms") == Outage(5.0, 0.5)


@pytest.mark.parametrize("read", [words.rate_bps, words.seconds, words.share, words.outage])
@pytest.mark.parametrize("text", ["", "fast", "1x", "-1", "1+2:maybe", "1.2.3"])
def test_what_is_none_of_these_is_refused_with_an_example(read: object, text: str) -> None:
    with pytest.raises(ValueError, match=r"write|could not convert"):
        read(text)  # type: ignore[operator]
