"""Attributes that this kind of object must have with a value (type 1 of the mandatory modules, PS3.3)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.quality.view import View

TABLE = Path(__file__).parents[1] / "required.toml"
SHOWN_MAX = 12
NEEDED_TO_SHOW = frozenset(
    {
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "Modality",
    }
)
"""Without one of these no viewer can show the picture rightly; the others are formal."""


def check(view: View) -> Iterator[Finding]:
    """All that is missing, in one finding; kinds that are not in the table are not judged."""
    missing = tuple(word for word in required_of(view.header.text("SOPClassUID")) if not view.header.has(word))
    if missing:
        severity = Severity.WARNING if NEEDED_TO_SHOW.intersection(missing) else Severity.NOTICE
        yield Finding(
            CheckCode.REQUIRED_MISSING, severity, {"attributes": missing[:SHOWN_MAX], "missing_count": len(missing)}
        )


def required_of(sop_class_uid: str) -> tuple[str, ...]:
    """Keywords of one kind of object; empty when it is not in the table."""
    classes, iods = _table()
    return iods.get(classes.get(sop_class_uid, ""), ())


@cache
def _table() -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return table["classes"], {name: tuple(words) for name, words in table["iods"].items()}
