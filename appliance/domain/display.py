"""Text that came from outside, made safe to show: no control or direction characters, one known width.

A name travels from a modality to a terminal, where an escape sequence could move the cursor and a direction mark could
make one patient's name appear in another's column. Stored text stays as it came; only what is shown passes here.
"""

from __future__ import annotations

import unicodedata

from appliance.domain.wording import told

ELLIPSIS = "…"
ARABIC_NAME = told("[name in Arabic script]")
"""Shown until the full screen shapes and orders Arabic itself: a terminal that does it alone swaps whole columns."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def safe_text(text: str) -> str:
    """``text`` on one line without control, format (bidi, zero-width), unassigned or private characters.

    Blanks of any kind become one space each; a combining mark that has nothing to stand on is dropped.
    """
    kept: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        category = unicodedata.category(char)
        if char in "\t\n\r" or category == "Zs":
            kept.append(" ")
        elif category not in _INVISIBLE and not (category.startswith("M") and (not kept or kept[-1] == " ")):
            kept.append(char)
    return "".join(kept).strip()


def reads_right_to_left(text: str) -> bool:
    """Whether a terminal with bidi support would reorder the line that holds ``text``."""
    return any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in text)


def cell_width(text: str) -> int:
    """Terminal cells that safe text takes: two for wide characters, none for combining marks."""
    return sum(_char_cells(char) for char in text)


def fit(text: str, width: int) -> str:
    """``text`` cut with an ellipsis or filled with blanks to exactly ``width`` cells; ``width`` >= 0."""
    missing = width - cell_width(text)
    if missing >= 0:
        return text + " " * missing
    if width == 0:
        return ""
    kept: list[str] = []
    left = width - 1
    for char in text:
        cells = _char_cells(char)
        if cells > left:
            break
        kept.append(char)
        left -= cells
    return "".join(kept) + ELLIPSIS + " " * left


def person_name(stored: str) -> str:
    """A DICOM PN value as people read it: ``BENALI^AMINA`` becomes ``BENALI, AMINA``.

    The alphabetic group is shown; without one the next group that has letters. A name that a terminal would reorder is
    replaced by ``ARABIC_NAME``; the stored value, and ``--json``, keep it.
    """
    groups = [_one_group(group) for group in stored.split("=")[:3]]
    readable = [group for group in groups if group]
    for group in readable:
        if not reads_right_to_left(group):
            return group
    return ARABIC_NAME if readable else "(no name)"


def name_in_scripts(stored: str) -> tuple[str, str]:
    """A DICOM PN value as its Latin and its Arabic name in logical order; empty where there is none."""
    groups = [group for group in (_one_group(group) for group in stored.split("=")[:3]) if group]
    latin = next((group for group in groups if not reads_right_to_left(group)), "")
    return latin, next((group for group in groups if reads_right_to_left(group)), "")


def _one_group(group: str) -> str:
    family, *others = [safe_text(component) for component in group.split("^")[:5]]
    given = " ".join(component for component in others if component)
    return ", ".join(part for part in (family, given) if part)


def _char_cells(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
