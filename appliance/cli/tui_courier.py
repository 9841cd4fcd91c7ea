"""The courier page's way to sticks: the ``qafila courier`` commands themselves, each as a child of the screen.

The encoder's memory, and a stick that stops answering, stay in the child: the screen goes on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.domain.wording import joined, stored
from appliance.store.connect import open_reader
from appliance.store.courier import StickRow, known_sticks
from appliance.store.errors import StoreError
from tui.reader import ReadTrouble
from tui.services import CourierEnd, CourierStep, Stick

MOUNTS = Path("/proc/self/mountinfo")
PLACES = ("/media/", "/run/media/", "/mnt/")
"""Below which desktops, ``udisks`` and administrators mount sticks."""


class CommandCourier:
    """Implements ``tui.services.Courier``; ``run`` blocks its thread until the child has ended."""

    def __init__(self, config: UnitConfig, config_path: Path, clock: Clock, mounts: Path = MOUNTS) -> None:
        self._config = config
        self._config_path = config_path
        self._clock = clock
        self._mounts = mounts

    def sticks(self) -> tuple[Stick, ...]:
        """As the protocol says."""
        try:
            lines = self._mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            own_device = self._config.data_dir.stat().st_dev
        except OSError:
            return ()
        found = []
        for point in _points(lines):
            try:
                medium = os.statvfs(point)
                if Path(point).stat().st_dev == own_device:
                    continue
            except OSError:  # pulled out this moment
                continue
            found.append(Stick(point, medium.f_bavail * medium.f_frsize, medium.f_blocks * medium.f_frsize))
        return tuple(found)

    def carried(self) -> tuple[StickRow, ...]:
        """As the protocol says."""
        try:
            with open_reader(self._config.unit_db, clock=self._clock) as db:
                return known_sticks(db)
        except StoreError as error:
            raise ReadTrouble(joined(" ", (stored(str(error)),))) from error

    def run(
        self, action: str, path: str, on_step: Callable[[CourierStep], None], stopped: threading.Event
    ) -> CourierEnd:
        """As the protocol says."""
        words = ["courier", action, path, "--json", "--config", str(self._config_path)]
        argv = [sys.executable, "-m", "appliance.cli.main", *words, *(["--progress"] if action == "export" else [])]
        with subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as child:
            threading.Thread(target=_interrupt, args=(child, stopped), daemon=True).start()
            assert child.stderr is not None and child.stdout is not None
            for line in child.stderr:
                step = _step(line)
                if step is not None:
                    on_step(step)
            answer = child.stdout.read()
            code = child.wait()
            stopped.set()
        return _end(answer, code)


def _points(lines: Iterable[str]) -> tuple[str, ...]:
    """Mount points of block devices where sticks are mounted."""
    found: dict[str, None] = {}
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) > 4 and len(rest) > 1 and rest[1].startswith("/dev/"):
            point = fields[4].replace("\\040", " ")
            if point.startswith(PLACES):
                found[point] = None
    return tuple(found)


def _interrupt(child: subprocess.Popen[str], stopped: threading.Event) -> None:
    """The first Ctrl-C asks the command for an orderly end."""
    stopped.wait()
    if child.poll() is None:
        child.send_signal(signal.SIGINT)


def _step(line: str) -> CourierStep | None:
    """One line of progress; anything else that a child says is none."""
    try:
        facts: Any = json.loads(line)
        return CourierStep(
            str(facts["phase"]),
            int(facts["done_bytes"]),
            int(facts["total_bytes"]),
            int(facts["done_count"]),
            int(facts["total_count"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _end(answer: str, code: int) -> CourierEnd:
    try:
        facts: Any = json.loads(answer)
    except ValueError:
        facts = {}
    if not isinstance(facts, dict):
        facts = {}
    return CourierEnd(code, facts, str(facts.get("error", "")) if facts else f"exit code {code}")
