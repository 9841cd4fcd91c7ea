"""Rates, times, shares and outages as people write them: ``1M``, ``75ms``, ``0.5%``, ``40s+20s/60s:forget``. Pure."""

from __future__ import annotations

import math
import re

from bench.link.spec import Outage, OutageKind

_FACTORS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_UNITS_S = {"ms": 1e-3, "s": 1.0}


def rate_bps(text: str) -> float:
    """Bits a second: ``200k``, ``1M``, ``2.5Mbit``; ``inf`` for no limit.

    Raises:
        ValueError: With an example, if it is no rate.
    """
    if text == "inf":
        return math.inf
    match = re.fullmatch(r"([\d.]+)([kMG]?)(bit)?(/s)?", text)
    if not match:
        raise ValueError(f"{text!r} is no rate; write 200k, 1M or 2.5Mbit")
    return float(match[1]) * _FACTORS[match[2]]


def seconds(text: str) -> float:
    """``75ms``, ``20s``; a bare number is seconds.

    Raises:
        ValueError: With an example, if it is no time.
    """
    match = re.fullmatch(r"([\d.]+)(ms|s)?", text)
    if not match:
        raise ValueError(f"{text!r} is no time; write 75ms or 20s")
    return float(match[1]) * _UNITS_S[match[2] or "s"]


def share(text: str) -> float:
    """``0.5%`` or ``0.005``.

    Raises:
        ValueError: With an example, if it is no share.
    """
    match = re.fullmatch(r"([\d.]+)(%?)", text)
    if not match:
        raise ValueError(f"{text!r} is no share; write 0.5% or 0.005")
    return float(match[1]) / (100 if match[2] else 1)


def outage(text: str) -> Outage:
    """``START+DURATION[/EVERY][:KIND]``, for instance ``40s+20s/60s:forget``.

    Raises:
        ValueError: With an example, if it is no outage.
    """
    match = re.fullmatch(r"([^+/:]+)\+([^+/:]+)(?:/([^+/:]+))?(?::([a-z]+))?", text)
    kinds = [kind.value for kind in OutageKind]
    if not match or (match[4] or kinds[0]) not in kinds:
        raise ValueError(f"{text!r} is no outage; write 40s+20s/60s:forget (kinds: {', '.join(kinds)})")
    every_s = seconds(match[3]) if match[3] else None
    return Outage(seconds(match[1]), seconds(match[2]), every_s, OutageKind(match[4] or kinds[0]))
