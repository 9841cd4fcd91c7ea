"""Arabic for terminals, which neither join its letters nor turn its lines: done here, for display only (``ux.md``).

Text stays logical everywhere else. Between Latin text only the Arabic words are turned, each run by itself, so that no
number or name beside them changes place; a screen in Arabic turns whole lines.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import Any

from appliance.domain.display import cell_width, reads_right_to_left, safe_text

_RUN = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff](?:[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u0300-\u036f ,.'’-]*"
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u0300-\u036f])?"
)


_ISO_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_LEFT_TO_RIGHT = "\u200e"


class _Terminal:
    shapes = True


def let_terminal_show_arabic(shaped: bool) -> None:
    """``False`` for a terminal that turns Arabic itself: names in Arabic letters are not shown there."""
    _Terminal.shapes = shaped


def arabic_can_be_shown() -> bool:
    """Whether lines may hold Arabic letters."""
    return _Terminal.shapes


def visual(line: str, *, whole_line: bool = False) -> str:
    """One line as its cells stand on the screen, from left to right.

    Args:
        line: Logical text, not wrapped any more after this; safe to show already.
        whole_line: The line reads from right to left: a screen in Arabic.
    """
    if not reads_right_to_left(line):
        return line
    if whole_line:
        return _turned(line, "R")
    return _RUN.sub(lambda run: _turned(run[0], "R"), line)


def wrapped(text: str, width: int) -> list[str]:
    """Logical ``text`` as logical lines of at most ``width`` cells, cut between words where there are any."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and cell_width(longer) > width:
                lines.append(line)
                line = word
            else:
                line = longer
            while width > 0 and cell_width(line) > width:
                cut = _cut_at(line, width)
                lines.append(line[:cut])
                line = line[cut:]
        lines.append(line)
    return lines


def _cut_at(line: str, width: int) -> int:
    used = 0
    for index, char in enumerate(line):
        used += cell_width(char)
        if used > width:
            return max(index, 1)
    return len(line)


@lru_cache(maxsize=4096)
def _turned(text: str, base: str) -> str:
    from bidi.algorithm import get_display

    joined = safe_text(_reshaper().reshape(unicodedata.normalize("NFC", text)))
    # After Arabic letters the parts of a date change places, and a birth date is to read 1984-03-12 everywhere.
    marked = _ISO_DATE.sub(lambda date: _LEFT_TO_RIGHT + date[0], joined)
    turned = get_display(marked, base_dir=base)
    return (turned if isinstance(turned, str) else turned.decode()).replace(_LEFT_TO_RIGHT, "")


@cache
def _reshaper() -> Any:
    """Imported only when there is Arabic to show: it costs 20 ms of the second that the first paint has."""
    from arabic_reshaper import ArabicReshaper

    return ArabicReshaper({"delete_harakat": True, "support_ligatures": True})
