"""The supervisor with real processes: order, restart, stubborn children, and nothing left after its own death."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.supervisor import ChildSpec, FolderLock, NotYetError, Supervisor, SupervisorError, end_process, spawn

FOREVER = [sys.executable, "-c", "import signal; signal.pause()"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()",
]


def wait_until(condition: Callable[[], bool], seconds_max: float = 20.0) -> None:
    """Wait for a condition with a deadline."""
    clock, pause = SystemClock(), threading.Event()
    deadline_mono_s = clock.mono_s() + seconds_max
    while not condition():
        assert clock.mono_s() < deadline_mono_s, "the condition did not come true"
        pause.wait(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def pid_of(supervisor: Supervisor, name: str) -> int:
    pid = supervisor.facts()[name]["pid"]
    assert isinstance(pid, int)
    return pid


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def test_children_start_in_order_and_stop_in_reverse_order(stop: threading.Event) -> None:
    order: list[str] = []
    specs = [
        ChildSpec(name, FOREVER, before_start=lambda name=name: order.append(name))  # type: ignore[misc]  # bound default
        for name in ("first", "second")
    ]
    supervisor = Supervisor(specs, SystemClock(), stop)
    supervisor.start_all()
    pids = [pid_of(supervisor, "first"), pid_of(supervisor, "second")]
    assert order == ["first", "second"]
    assert all(alive(pid) for pid in pids)
    supervisor.stop_all()
    assert not any(alive(pid) for pid in pids)


@pytest.mark.fault(12)
def test_child_killed_with_sigkill_is_started_again_and_the_others_stay(stop: threading.Event) -> None:
    supervisor = Supervisor([ChildSpec("one", FOREVER), ChildSpec("two", FOREVER)], SystemClock(), stop)
    supervisor.start_all()
    try:
        first, other = pid_of(supervisor, "one"), pid_of(supervisor, "two")
        os.kill(first, signal.SIGKILL)

        def restarted() -> bool:
            supervisor.watch_once()
            return supervisor.facts()["one"]["start_count"] == 2

        wait_until(restarted)
        assert pid_of(supervisor, "one") != first
        assert pid_of(supervisor, "two") == other
    finally:
        supervisor.stop_all()


def test_child_that_is_not_wanted_rests_and_runs_when_it_is(stop: threading.Event) -> None:
    wanted = threading.Event()
    supervisor = Supervisor(
        [ChildSpec("one", [sys.executable, "-c", ""], is_wanted=wanted.is_set)], SystemClock(), stop
    )
    supervisor.start_all()
    try:
        supervisor.watch_once()
        assert supervisor.all_run()
        assert supervisor.facts()["one"] == {"pid": None, "start_count": 0}
        wanted.set()
        supervisor.watch_once()
        assert supervisor.facts()["one"]["start_count"] == 1
        wanted.clear()

        def rests() -> bool:
            supervisor.watch_once()
            return supervisor.facts()["one"]["pid"] is None

        wait_until(rests)
        supervisor.watch_once()
        assert supervisor.all_run()
        assert supervisor.facts()["one"]["start_count"] == 1
    finally:
        supervisor.stop_all()


@pytest.mark.fault(12)
def test_child_killed_while_it_was_wanted_is_started_again_though_nobody_calls(stop: threading.Event) -> None:
    wanted = threading.Event()
    wanted.set()
    supervisor = Supervisor([ChildSpec("one", FOREVER, is_wanted=wanted.is_set)], SystemClock(), stop)
    supervisor.start_all()
    wanted.clear()
    try:
        os.kill(pid_of(supervisor, "one"), signal.SIGKILL)

        def restarted() -> bool:
            supervisor.watch_once()
            return supervisor.facts()["one"]["start_count"] == 2

        wait_until(restarted)
    finally:
        supervisor.stop_all()


def test_child_finds_an_inherited_socket_under_its_number(stop: threading.Event, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        said = tmp_path / "said"
        code = "import socket, sys; print(socket.socket(fileno=int(sys.argv[1])).getsockname()[1])"
        argv = [sys.executable, "-c", code, str(listener.fileno())]
        process = spawn(ChildSpec("one", argv, log_file=said, inherited=[listener]))
        assert process.wait(20) == 0
        assert said.read_text().strip() == str(listener.getsockname()[1])


def test_child_whose_start_fails_is_tried_again_for_ever(stop: threading.Event) -> None:
    fails = iter([False, True, True, False])
    tries: list[bool] = []

    def before_start() -> None:
        tries.append(next(fails))
        if tries[-1]:
            raise SupervisorError("not yet")

    supervisor = Supervisor([ChildSpec("one", FOREVER, before_start=before_start)], SystemClock(), stop)
    supervisor.start_all()
    try:
        os.kill(pid_of(supervisor, "one"), signal.SIGKILL)

        def restarted() -> bool:
            supervisor.watch_once()
            return supervisor.facts()["one"]["start_count"] == 2

        wait_until(restarted)
        assert tries == [False, True, True, False]
    finally:
        supervisor.stop_all()


def test_first_start_that_fails_stops_what_already_runs(stop: threading.Event) -> None:
    supervisor = Supervisor(
        [ChildSpec("one", FOREVER), ChildSpec("two", ["/nonexistent/qafila-program"])], SystemClock(), stop
    )
    with pytest.raises(SupervisorError, match="two cannot be started"):
        supervisor.start_all()
    assert supervisor.facts()["one"]["pid"] is None


@pytest.mark.fault(15)
@pytest.mark.parametrize("trouble", [NotYetError("not yet"), OSError(errno.ENOSPC, "No space left on device")])
def test_child_that_a_full_disk_keeps_from_starting_is_tried_again_and_the_others_run(
    stop: threading.Event, trouble: Exception
) -> None:
    troubles = [trouble, trouble]

    def before_start() -> None:
        if troubles:
            raise troubles.pop()

    supervisor = Supervisor(
        [ChildSpec("one", FOREVER, before_start=before_start), ChildSpec("two", FOREVER)], SystemClock(), stop
    )
    supervisor.start_all()
    try:
        assert alive(pid_of(supervisor, "two"))
        assert not supervisor.all_run()

        def complete() -> bool:
            supervisor.watch_once()
            return supervisor.all_run()

        wait_until(complete)
        assert not troubles
    finally:
        supervisor.stop_all()


def test_stop_while_a_start_is_prepared_starts_nothing_more(stop: threading.Event) -> None:
    supervisor = Supervisor([ChildSpec("one", FOREVER, before_start=stop.set)], SystemClock(), stop)
    supervisor.start_all()
    try:
        assert supervisor.facts()["one"]["start_count"] == 0
    finally:
        supervisor.stop_all()


@pytest.mark.fault(20)
def test_log_that_cannot_be_written_keeps_no_process_from_running(tmp_path: Path) -> None:
    process = spawn(ChildSpec("one", FOREVER, log_file=tmp_path / "no such folder" / "log"))
    assert alive(process.pid)
    end_process(process, 5.0)


def test_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    log_file = tmp_path / "log"
    process = spawn(ChildSpec("deaf", DEAF, log_file=log_file))
    wait_until(lambda: log_file.exists() and "deaf" in log_file.read_text())
    end_process(process, 0.2)
    assert process.returncode == -signal.SIGKILL


def test_children_die_with_a_supervisor_killed_with_sigkill(tmp_path: Path) -> None:
    program = (
        "import signal, sys\n"
        "from appliance.supervisor import ChildSpec, spawn\n"
        f"print(spawn(ChildSpec('one', {FOREVER!r})).pid, flush=True)\n"
        "signal.pause()\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    assert alive(child)
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    wait_until(lambda: not alive(child))


def test_second_supervisor_on_one_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    first = FolderLock(tmp_path / "unit.lock")
    with pytest.raises(SupervisorError, match="in use by another running Qafila"):
        FolderLock(tmp_path / "unit.lock")
    first.release()
    FolderLock(tmp_path / "unit.lock").release()


def test_signal_in_the_middle_of_a_start_is_not_lost() -> None:
    """Python swallows what a handler raises in the hooks that it runs at a fork."""
    script = """
import os, signal, sys
from appliance.supervisor import ChildSpec, spawn

signal.signal(signal.SIGINT, signal.default_int_handler)
os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGINT))
try:
    spawn(ChildSpec("child", ["sleep", "60"]))
except KeyboardInterrupt:
    print("interrupted", signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout == "interrupted set()\n", done.stderr
