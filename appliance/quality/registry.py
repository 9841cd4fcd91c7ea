"""All checks in the order in which their findings are shown, and the version of them all.

Raise ``CHECKS_VERSION`` with every change of what is found: what was checked by an older version is checked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.quality.checks import (
    charset,
    clipping,
    clock,
    exposure,
    loop,
    order,
    pixels,
    required,
    sop_class,
    spacing,
)
from appliance.quality.version import CHECKS_VERSION
from appliance.quality.view import View

__all__ = ["CHECKS", "CHECKS_VERSION", "run_checks"]

Check = Callable[[View], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    order.check,
    pixels.check,
    clipping.check,
    exposure.check,
    loop.check,
    spacing.check,
    charset.check,
    clock.check,
    sop_class.check,
    required.check,
)


def run_checks(view: View) -> tuple[Finding, ...]:
    """Everything that is found; one finding a code, the first of each."""
    found: dict[CheckCode, Finding] = {}
    for check in CHECKS:
        try:
            for finding in check(view):
                found.setdefault(finding.code, finding)
        except (ArithmeticError, ValueError, LookupError, TypeError):
            # One check that a strange header defeats must not hide what the others found, nor pass for fine.
            name = check.__module__.rsplit(".", 1)[-1]
            found.setdefault(
                CheckCode.NOT_CHECKED, Finding(CheckCode.NOT_CHECKED, Severity.WARNING, {"why": f"check-{name}"})
            )
    return tuple(found.values())
