"""Exposure against its target, in words: deviation index DI = 10 log10(EI / EI target) (IEC 62494-1, PS3.3 C.8.7.10).

A modality that gives no indices is not fine, it is silent: that is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.quality.view import HeaderView, View

CONTRADICTION_MAX = 0.5
"""DI is supplied with one decimal, EI and target are rounded too; half a step of exposure is beyond that."""


def check(view: View) -> Iterator[Finding]:
    """Too much, too little, contradictory or not supplied, for still X-ray pictures."""
    if not view.header.is_projection:
        return
    supplied, computed = view.header.number("DeviationIndex"), _computed(view.header)
    index = supplied if supplied is not None else computed
    if index is None:
        yield Finding(CheckCode.EXPOSURE_MISSING, Severity.NOTICE, _exposure_index(view.header))
        return
    values = {"deviation_index": round(index, 1)}
    bands = view.bands
    if index > bands.deviation_high_notice:
        is_far = index > bands.deviation_high_warning
        yield Finding(CheckCode.EXPOSURE_HIGH, Severity.WARNING if is_far else Severity.NOTICE, values)
    elif index < bands.deviation_low_notice:
        is_far = index < bands.deviation_low_warning
        yield Finding(CheckCode.EXPOSURE_LOW, Severity.WARNING if is_far else Severity.NOTICE, values)
    if supplied is not None and computed is not None and abs(supplied - computed) > CONTRADICTION_MAX:
        yield Finding(CheckCode.EXPOSURE_CONTRADICTS, Severity.NOTICE, {**values, "computed_index": round(computed, 1)})


def _computed(header: HeaderView) -> float | None:
    index, target = header.number("ExposureIndex"), header.number("TargetExposureIndex")
    if index is None or target is None or index <= 0 or target <= 0:
        return None
    return 10 * math.log10(index / target)


def _exposure_index(header: HeaderView) -> dict[str, float]:
    """An index without its target is shown but says nothing by itself."""
    index = header.number("ExposureIndex")
    return {} if index is None else {"exposure_index": index}
