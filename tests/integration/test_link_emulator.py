"""The link emulator with real packets: what ping, iperf3 and real TCP make of a link, and that nothing is left behind.

Times are only asserted where the emulator cannot be too fast; how busy the machine is decides nothing here.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.link import Direction, Link, LinkError, LinkSpec, Outage, OutageKind
from bench.link.model import End, LinkModel
from bench.link.namespaces import Namespace, remove_leftovers, run
from tests.support.ports import free_port
from tests.support.world import wait_for

TOP = Path(__file__).resolve().parents[2]
root = pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/net/tun").exists(), reason="needs root and TUN devices")
pytestmark = [pytest.mark.root]
COMMAND = [sys.executable, "-m", "bench.link"]
AWAY_FROM_S, AWAY_S = 3.0, 0.3


def namespace_names() -> set[str]:
    folder = Path("/run/netns")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@contextlib.contextmanager
def listening(namespace: Namespace, port: int) -> Iterator[socket.socket]:
    """A listener inside."""
    with namespace.entered():
        listener = socket.create_server((namespace.address, port))
    with listener:
        listener.settimeout(60)
        yield listener


def connect(link: Link, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Both ends of a new connection over the link, the unit's first, after one byte went each way."""
    near = link.unit.connect(listener.getsockname()[1], link.centre.address, timeout_s=60)
    far, _ = listener.accept()
    far.settimeout(60)
    for source, sink in ((near, far), (far, near)):
        source.sendall(b"x")
        assert sink.recv(1) == b"x"
    return near, far


def connect_before_outage(link: Link, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """As ``connect``, on a link that was started anew and has its outage still before it."""
    for _ in range(10):
        link.restart()
        near, far = connect(link, listener)
        if link.report().now_mono_s < link.start_mono_s + AWAY_FROM_S:
            return near, far
        near.close()
        far.close()
    raise AssertionError("this machine is too busy to open a connection in 3 s")


def wait_for_outage_to_end(link: Link) -> None:
    ((_, end_s),) = link.outages(60.0)
    wait_for(lambda: link.report().now_mono_s > end_s, "the outage to end")


def with_outage(kind: OutageKind) -> LinkSpec:
    return LinkSpec(outage=Outage(AWAY_FROM_S, AWAY_S, None, kind))


@root
def test_ping_sees_the_round_trip_time_and_each_direction_is_counted() -> None:
    spec = LinkSpec(up=Direction(delay_s=0.040), down=Direction(delay_s=0.020))
    with Link(spec) as link:
        said = run(link.unit.command("ping", "-n", "-c", "10", "-i", "0.01", link.centre.address), 90)
        report = link.report()
    assert "10 packets transmitted, 10 received" in said, said
    times_ms = re.search(r"min/avg/max/mdev = ([\d.]+)/", said)
    assert times_ms
    assert float(times_ms[1]) >= 60.0
    for counters in (report.up, report.down):
        assert (counters.delivered.packet_count, counters.delivered.ip_bytes) == (10, 10 * 84)


@root
def test_ping_loses_exactly_what_the_seed_says() -> None:
    spec = LinkSpec(up=Direction(loss=0.3))
    model = LinkModel(spec, 5, 0.0)
    for _ in range(50):
        model.offer(0.0, End.UNIT, b"\x45".ljust(84, b"\0"))
    lost_count = model.up.lost.packet_count
    assert 5 < lost_count < 30
    with Link(spec, 5) as link:
        said = run(link.unit.command("ping", "-n", "-c", "50", "-i", "0.01", "-W", "2", link.centre.address), 90)
        assert f"50 packets transmitted, {50 - lost_count} received" in said, said
        assert link.report().up.lost.packet_count == lost_count
        assert link.restart().up.lost.packet_count == 0
        said = run(link.unit.command("ping", "-n", "-c", "50", "-i", "0.01", "-W", "2", link.centre.address), 90)
        assert f"50 packets transmitted, {50 - lost_count} received" in said, said


@root
def test_iperf3_gets_its_bytes_through_and_no_more_than_the_rate() -> None:
    rate_bps, sent_bytes = 4e6, 1_000_000
    spec = LinkSpec.symmetric(rate_bps=rate_bps, rtt_s=0.02)
    with Link(spec) as link:
        port = free_port()
        server = subprocess.Popen(link.centre.command("iperf3", "-s", "-1", "-p", str(port)), stdout=subprocess.DEVNULL)
        wait_for(lambda: port in listeners(link.centre), "iperf3's server")
        client = ["iperf3", "-c", link.centre.address, "-p", str(port), "-n", str(sent_bytes), "-J"]
        begun = link.restart()
        said = json.loads(run(link.unit.command(*client), 120))
        report = link.report()
        server.wait(60)
    assert "error" not in said, said
    # The server stops counting when the client has handed its last byte to the kernel, not when that arrives.
    assert said["end"]["sum_received"]["bytes"] >= sent_bytes / 2
    assert report.up.delivered.ip_bytes >= sent_bytes / 2
    duration_s = report.now_mono_s - begun.start_mono_s
    assert report.up.carried_bytes * 8 <= rate_bps * duration_s
    assert said["end"]["sum_received"]["bits_per_second"] < rate_bps


def listeners(namespace: Namespace) -> set[int]:
    """Ports that something inside listens on."""
    with namespace.entered():
        lines = Path("/proc/thread-self/net/tcp6").read_text() + Path("/proc/thread-self/net/tcp").read_text()
    return {int(found, 16) for found in re.findall(r":([0-9A-F]{4}) [0-9A-F:]+ 0A ", lines)}


@root
def test_flow_from_before_an_outage_is_dead_and_a_new_one_lives() -> None:
    with Link(with_outage(OutageKind.FORGET)) as link, listening(link.centre, 5000) as listener:
        old, old_far = connect_before_outage(link, listener)
        wait_for_outage_to_end(link)
        old.sendall(b"is anybody there?")
        wait_for(lambda: link.report().up.forgotten.packet_count >= 2, "the old flow's packets to vanish twice")
        old_far.setblocking(False)
        with pytest.raises(BlockingIOError):
            old_far.recv(1)
        new, new_far = connect(link, listener)
        for each in (old, old_far, new, new_far):
            each.close()


@root
def test_flow_is_reset_at_both_ends_after_an_outage_that_resets() -> None:
    with Link(with_outage(OutageKind.RESET)) as link, listening(link.centre, 5000) as listener:
        near, far = connect_before_outage(link, listener)
        wait_for_outage_to_end(link)
        for end in (near, far):
            with pytest.raises(ConnectionResetError):
                end.recv(1)
        assert link.report().resets_sent >= 2
        for each in (near, far, *connect(link, listener)):
            each.close()


@root
def test_flow_goes_on_after_a_silent_outage() -> None:
    with Link(with_outage(OutageKind.SILENT)) as link, listening(link.centre, 5000) as listener:
        near, far = connect_before_outage(link, listener)
        wait_for_outage_to_end(link)
        near.sendall(b"still there")
        assert far.recv(64) == b"still there"
        near.close()
        far.close()


@root
@pytest.mark.parametrize("name", ["reno", "cubic", "bbr"])
def test_congestion_control_is_the_one_asked_for_at_both_ends(name: str) -> None:
    if name not in Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split():
        pytest.skip(f"this kernel has no {name}")
    with Link(LinkSpec(), congestion=name) as link, listening(link.centre, 5000) as listener:
        for end in connect(link, listener):
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == name.encode()
            end.close()


@root
def test_congestion_control_that_is_not_there_is_refused_in_words_and_nothing_is_left() -> None:
    before = namespace_names()
    with pytest.raises(LinkError, match="no TCP congestion control 'warp'"):
        Link(LinkSpec(), congestion="warp")
    assert namespace_names() <= before


@root
def test_several_links_at_once_are_apart_and_closing_removes_everything() -> None:
    with Link(LinkSpec()) as first, Link(LinkSpec()) as second:
        names = {each.name for link in (first, second) for each in (link.unit, link.centre)}
        assert len(names) == 4
        assert names <= namespace_names()
        run(first.unit.command("ping", "-n", "-c", "1", "-w", "30", first.centre.address), 60)
        assert first.report().up.delivered.packet_count == 1
        assert second.report().up.offered.packet_count == 0
        left_running = subprocess.Popen(second.unit.command("sleep", "600"))
    assert left_running.wait(30) == -signal.SIGKILL
    assert not names & namespace_names()
    first.close()


@root
def test_what_a_killed_run_left_is_removed_by_the_next() -> None:
    script = (
        "import os, signal\nfrom bench.link import Link, LinkSpec\n"
        "link = Link(LinkSpec())\nprint(link.unit.name, link.centre.name, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, cwd=TOP, capture_output=True, text=True)
    names = set(done.stdout.split())
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(names) == 2
    remove_leftovers()
    assert not names & namespace_names()


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LinkError, match="needs root"):
        Link(LinkSpec())


@contextlib.contextmanager
def by_hand(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``python -m bench.link``, and the name of its unit's namespace."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=TOP, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    with process:
        try:
            first = process.stderr.readline().split()
            assert first[:1] == ["unit"], first
            yield process, first[1]
        finally:
            process.kill()


@root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_link_by_hand_is_gone_after_it_was_interrupted(number: signal.Signals) -> None:
    with by_hand("--link", "A") as (process, name):
        assert process.stderr is not None
        wait_for(lambda: "running until" in (process.stderr.readline() if process.stderr else ""), "the link to run")
        assert name in namespace_names()
        process.send_signal(number)
        assert process.wait(60) == 0
        assert "carried" in process.stderr.read()
    assert name not in namespace_names()


@root
def test_command_by_hand_runs_inside_and_its_exit_code_and_counters_come_back(tmp_path: Path) -> None:
    counters = tmp_path / "counters.json"
    script = 'ping -n -c 3 -i 0.01 -w 60 "$QAFILA_CENTRE" && exit 7'
    with by_hand("--rate", "1M", "--delay", "5ms", "--json", str(counters), "--", "sh", "-c", script) as (process, _):
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 7, said
    assert "3 received" in said
    tree = json.loads(counters.read_text())
    assert tree["up"]["carried_bytes"] == tree["down"]["carried_bytes"] == 3 * 84


@pytest.mark.parametrize("arguments", [["--rate", "fast"], ["--outage", "5s"], ["--loss", "200%"]])
def test_mistake_on_the_command_line_is_answered_with_a_sentence(arguments: list[str]) -> None:
    done = subprocess.run([*COMMAND, *arguments], check=False, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert arguments[1] in done.stderr or "share" in done.stderr
