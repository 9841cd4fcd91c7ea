"""The only module that reads a clock.

Time-outs and back-off are differences of ``mono_s``; wall time is data to show, never to decide by. A unit without a
clock battery may boot in 1970, so every journal row also carries the boot and the monotonic second it was written in.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """What code that needs time is given; tests give a fake."""

    def mono_s(self) -> float:
        """Seconds on a clock that never steps; only differences mean something."""
        ...

    def wall_s(self) -> float:
        """Seconds since the epoch as the machine believes; may step."""
        ...

    def boot_id(self) -> str:
        """Identifies this boot, so that monotonic seconds of two boots are never compared."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clocks."""

    def mono_s(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return time.time()

    def boot_id(self) -> str:
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return "unknown-boot"


def utc_text(wall_s: float) -> str:
    """``2026-11-22T09:30:00.123Z`` for seconds since the epoch."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_day(wall_s: float) -> tuple[str, float]:
    """The machine's local date as ``2026-11-22``, and the seconds since its midnight as the wall shows them."""
    local = datetime.fromtimestamp(wall_s, UTC).astimezone()
    return local.date().isoformat(), local.hour * 3600.0 + local.minute * 60.0 + local.second + local.microsecond / 1e6


def local_zone(wall_s: float) -> tzinfo:
    """The machine's time zone as it holds at ``wall_s``, for showing times to people; nothing is decided by it."""
    return datetime.fromtimestamp(wall_s, UTC).astimezone().tzinfo or UTC
