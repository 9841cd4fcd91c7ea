"""Anatomy that is fully black or white: what was clipped there cannot be brought back by any window.

Shares come without the air around the body and the collimator (``appliance.quality.saturation``). Metal is white in
good pictures too, so white weighs less.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.quality.view import View

BRIGHT_NOTICE_FACTOR, BRIGHT_WARNING_FACTOR = 2.5, 5
"""A hip prosthesis covers up to a tenth of a film."""


def check(view: View) -> Iterator[Finding]:
    """The worst frame at either end."""
    share_max = view.bands.clipped_share_max
    dark = max((frame.dark_share for frame in view.frames.looked), default=0.0)
    bright = max((frame.bright_share for frame in view.frames.looked), default=0.0)
    if dark > share_max:
        yield Finding(CheckCode.CLIPPED_DARK, Severity.WARNING, {"percent": round(100 * dark, 1)})
    if bright > share_max * BRIGHT_NOTICE_FACTOR:
        is_much = bright > share_max * BRIGHT_WARNING_FACTOR
        severity = Severity.WARNING if is_much else Severity.NOTICE
        yield Finding(CheckCode.CLIPPED_BRIGHT, severity, {"percent": round(100 * bright, 1)})
