"""Keeps big optional libraries out of small processes: together, ours on the unit stay under 200 MB resident."""

from __future__ import annotations

import sys


def leave_out(*names: str) -> None:
    """Make later imports of these modules fail; call it before what would use them when they are there.

    ``pydicom`` takes numpy if it is installed (18 MB resident more, measured) and does without it otherwise.
    """
    for name in names:
        if name not in sys.modules:
            sys.modules[name] = None  # type: ignore[assignment]  # the documented way to make an import fail
