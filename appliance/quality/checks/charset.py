"""Names whose bytes cannot be what their character set says; they are shown wrongly everywhere and stay as they are."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.domain.quality import CheckCode, Finding, Severity, Value
from appliance.quality.view import View

SHOWN_MAX = 6
KNOWN_LABELS = frozenset(
    {"ISO_IR 6", "ISO_IR 13", "ISO_IR 192", "GB18030", "GBK"}
    | {f"ISO_IR {number}" for number in (100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 203)}
    | {
        f"ISO 2022 IR {number}"
        for number in (6, 13, 58, 87, 100, 101, 109, 110, 126, 127, 138, 144, 148, 149, 159, 166, 203)
    }
)
"""Defined terms of Specific Character Set (PS3.3 C.12.1.1.2)."""


def check(view: View) -> Iterator[Finding]:
    """Bytes that contradict their label, and labels that do not exist."""
    if view.header.suspects:
        keywords = tuple(sorted(view.header.suspects))
        values: dict[str, Value] = {
            "attributes": keywords[:SHOWN_MAX],
            "looks_like": view.header.suspects[keywords[0]],
        }
        yield Finding(CheckCode.CHARSET_WRONG, Severity.WARNING, values)
    unknown = [label for label in view.header.texts("SpecificCharacterSet") if label and label not in KNOWN_LABELS]
    if unknown:
        yield Finding(CheckCode.CHARSET_UNKNOWN, Severity.NOTICE, {"label": unknown[0][:16]})
