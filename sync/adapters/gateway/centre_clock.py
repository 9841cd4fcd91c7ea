"""How far this unit's clock is from the centre's, as far as the ``Date`` of an answer can tell; pure.

An answer says that it was made between the request's first byte and its own last one, which on a slow link is minutes,
and it says so in whole seconds. What lies within that is no difference.
"""

from __future__ import annotations

DATE_STEP_S = 1.0
"""RFC 9110, 5.6.7: whole seconds; a sender cuts off the rest."""


def ahead_s(before_s: float, wall_s: float, began_s_ago: float, date_s: float) -> float:
    """Seconds by which this unit's clock is ahead of the centre's; negative when it is behind.

    Args:
        before_s: The last estimate, 0 at the start; it stands unless this answer contradicts it.
        wall_s: What this unit's clock says now, seconds since the epoch.
        began_s_ago: How long ago the request began, by the clock that never steps; >= 0.
        date_s: ``Date`` of its answer, seconds since the epoch.
    """
    at_most_s = wall_s - date_s
    at_least_s = at_most_s - began_s_ago - DATE_STEP_S
    return min(max(before_s, at_least_s), at_most_s)
