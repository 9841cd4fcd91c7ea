"""Distances between pixels: without them nothing can be measured, and a spacing of 0 shows as black in web viewers."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.quality.view import HeaderView, View

SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
REGIONS = "SequenceOfUltrasoundRegions"
_CENTIMETRES = "3"
"""Physical Units of a region that shows distances; others show time, velocity or frequency (PS3.3 C.8.5.5.1.15)."""


def check(view: View) -> Iterator[Finding]:
    """Spacings that are no two positive numbers; none at all where measurements are made."""
    header = view.header
    wrong = tuple(keyword for keyword in SPACINGS if header.has(keyword) and not _is_good(header, keyword))
    regions = header.items.get(REGIONS, ())
    if any(_is_flat(region) for region in regions):
        wrong = (*wrong, REGIONS)
    if wrong:
        yield Finding(CheckCode.SPACING_WRONG, Severity.WARNING, {"attributes": wrong})
    elif not any(header.has(keyword) for keyword in SPACINGS) and (
        header.is_projection or (header.text("Modality") == "US" and view.frames.is_there and not regions)
    ):
        yield Finding(CheckCode.SPACING_MISSING, Severity.NOTICE)


def _is_good(header: HeaderView, keyword: str) -> bool:
    numbers = header.numbers(keyword)
    return len(numbers) == 2 and all(number is not None and number > 0 for number in numbers)


def _is_flat(region: HeaderView) -> bool:
    """Both directions in centimetres and one of them without extent; a delta may be negative."""
    return any(
        region.text(f"PhysicalUnits{axis}Direction") == _CENTIMETRES and not region.number(f"PhysicalDelta{axis}")
        for axis in "XY"
    )
