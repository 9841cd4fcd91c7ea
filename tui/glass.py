"""The keyboard on a touch panel's glass: there while something can be typed, so that it takes no room from the list."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

VARIABLE = "QAFILA_GLASS_KEYBOARD"
"""Names the file with the process id of wvkbd, where there is one (``image/mkosi.extra/usr/lib/qafila/touch``)."""
SHOW, HIDE = signal.SIGUSR2, signal.SIGUSR1
"""As wvkbd's manual says."""


class GlassKeyboard:
    """One that is started hidden, and again whenever it ends; without one, nothing is done."""

    def __init__(self, pid_file: Path | None = None) -> None:
        self._pid_file = pid_file
        self._shown_pid = 0

    def follow(self, is_typing: bool) -> None:
        """Show it or hide it; may be called as often as one likes."""
        pid = self._pid()
        if pid and is_typing != (self._shown_pid == pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, SHOW if is_typing else HIDE)
                self._shown_pid = pid if is_typing else 0

    def _pid(self) -> int:
        if self._pid_file is not None:
            with suppress(OSError, ValueError):
                return max(0, int(self._pid_file.read_text("ascii")))
        return 0


def from_environment() -> GlassKeyboard:
    """That of the session that this screen runs in."""
    path = os.environ.get(VARIABLE, "")
    return GlassKeyboard(Path(path) if path else None)
