"""What the first boot and the screen hand over to the unit's processes: small files, each taken in once and removed.

The screen has no network of its own, and at the first boot there are no records yet. Every file is written and removed
so that after a power cut it is there or not; whoever takes one in may do so twice.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from appliance.clock import Clock
from appliance.durable import sync_folder
from appliance.identity import replace_file

FOLDER = "handed"
CODE, REFUSED, SUPERVISOR = "enrol-code", "enrol-refused", "supervisor.json"
TRY_AGAIN_S = 60.0
"""Between two contacts with a centre that was not reached."""
_CHARS_MAX = 1000


class FirstPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The supervisor whom the first boot named; never with the PIN itself."""

    name: str
    pin_hash: str
    """As ``appliance.people.pins`` makes it."""


def give_code(folder: Path, code: str) -> None:
    """A centre's one-time code, for the unit to enrol itself with; what came of an earlier one is forgotten.

    Raises:
        OSError: If it cannot be kept.
    """
    replace_file(folder / CODE, code.strip().encode("utf-8") + b"\n")
    remove(folder / REFUSED)


def code(folder: Path) -> str:
    """The code that waits; empty when none does."""
    return _text(folder / CODE)


def refusal(folder: Path) -> str:
    """Why the last code was of no use; empty when it was, or when there was none."""
    return _text(folder / REFUSED)


def settle_code(folder: Path, refusal: str = "") -> None:
    """The code is used up, or refused with a sentence for people; raises ``OSError``."""
    if refusal:
        replace_file(folder / REFUSED, refusal.encode("utf-8"))
    else:
        remove(folder / REFUSED)
    remove(folder / CODE)


def remove(path: Path) -> None:
    """Durably; raises ``OSError``."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)


class CodeWaits:
    """Whether the process that uses a code up is to run now; asked several times a second."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / CODE
        self._clock = clock
        self._tried: tuple[int, float] | None = None

    def is_wanted(self) -> bool:
        """At once for a new code, and again every ``TRY_AGAIN_S`` while it is there."""
        try:
            written_ns = self._path.stat().st_mtime_ns
        except OSError:
            return False
        now_mono_s = self._clock.mono_s()
        if self._tried is not None and self._tried[0] == written_ns and now_mono_s - self._tried[1] < TRY_AGAIN_S:
            return False
        self._tried = (written_ns, now_mono_s)
        return True


def _text(path: Path) -> str:
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as source:
        return source.read(_CHARS_MAX).strip()
    return ""
