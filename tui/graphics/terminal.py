"""What the terminal of this process can show: told by the configuration or the command, else known by its name.

The terminal itself is not asked: over a slow link its answer takes seconds, and it would come among the first keys.
"""

from __future__ import annotations

import fcntl
import struct
import sys
import termios
from collections.abc import Mapping

from tui.graphics.canvas import Display, Graphics

AUTO = "auto"
_BY_NAME = {"foot": Graphics.SIXEL, "xterm-kitty": Graphics.KITTY, "xterm-ghostty": Graphics.KITTY}


def display(told: str, environment: Mapping[str, str]) -> Display:
    """How pictures are shown here; ``told`` is ``auto`` or one of ``Graphics``."""
    return Display(guessed(environment) if told == AUTO else Graphics(told), cell_size)


def guessed(environment: Mapping[str, str]) -> Graphics:
    """By the terminal's name; over SSH half-cells, for one picture is half a megabyte there."""
    if any(environment.get(name) for name in ("SSH_CONNECTION", "SSH_TTY")):
        return Graphics.CELLS
    name = environment.get("TERM", "")
    return _BY_NAME.get(name, _BY_NAME.get(name.partition("-")[0], Graphics.CELLS))


def cell_size() -> tuple[int, int] | None:
    """Width and height of a cell in pixels; ``None`` where the terminal does not tell."""
    try:
        answer = fcntl.ioctl(sys.__stdout__ or -1, termios.TIOCGWINSZ, bytes(8))
    except (OSError, ValueError):
        return None
    rows, columns, width_px, height_px = struct.unpack("HHHH", answer)
    if not (rows and columns and width_px >= columns and height_px >= rows):
        return None
    return width_px // columns, height_px // rows
