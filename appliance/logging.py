"""One line an event on standard error: ``2026-11-22T09:30:00.123Z unit.intake kept count=3 bytes=1234``.

Never patient identity: UIDs, counts, sizes and codes only (invariant 12).
"""

from __future__ import annotations

import sys
from contextlib import suppress

from appliance.clock import SystemClock, utc_text

_CLOCK = SystemClock()


def log(area: str, event: str, **facts: object) -> None:
    """Write one event line. One that cannot be written (a full disk, a broken pipe) is lost, and nothing else is.

    Args:
        area: Dotted origin, for instance ``unit.intake``.
        event: What happened, in a few words without values.
        facts: Values; shown as ``key=value``, quoted when they hold blanks.
    """
    words = [utc_text(_CLOCK.wall_s()), area, event]
    for key, value in facts.items():
        text = str(value)
        words.append(f"{key}={text!r}" if any(c.isspace() for c in text) or not text else f"{key}={text}")
    with suppress(OSError):
        print(" ".join(words), file=sys.stderr, flush=True)  # noqa: T201 - this is the log
