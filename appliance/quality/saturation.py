"""How much of the exposed field is clipped at either end, without what is rightly black or white there.

Air beside the body is saturated in good films, and so may be the collimator's shadow; both reach the edge of the
picture or of the exposed field, while clipped lungs are enclosed by anatomy. So saturated regions that touch an edge do
not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID = 512
"""Pixels a side that are looked at; single ones are taken, so a clipped value stays exactly what it is."""
EXTREME_PERCENT = 0.1
"""What lies beyond is dead pixels and burned-in marks."""
PILE_FACTOR = 8.0
"""A clipped value is so many times as frequent as its neighbours; in a smooth histogram it is about as frequent."""
NEIGHBOUR_SHARE = 0.05
"""Of the range of values: the neighbours it is compared with."""
FLAT_SHARE = 0.1
"""Of the range of values: an edge line whose middle 90 % spread less lies under the collimator or in plain air."""

Mask = NDArray[np.bool_]


def clipped_shares(samples: NDArray[Any]) -> tuple[float, float]:
    """Shares of the exposed field that are clipped at the lowest and at the highest value.

    Args:
        samples: Stored values, shape (rows, columns).
    """
    step = max(1, -(-max(samples.shape) // GRID))
    grid = samples[::step, ::step].astype(np.int64)
    low, high = (int(value) for value in np.percentile(grid, (EXTREME_PERCENT, 100 - EXTREME_PERCENT)))
    if high - low < 8 or min(grid.shape) < 16:
        return 0.0, 0.0  # blank, or a handful of grey levels
    at_low = grid <= low if _is_pile(grid, low, high - low, 1) else np.zeros(grid.shape, dtype=bool)
    at_high = grid >= high if _is_pile(grid, high, high - low, -1) else np.zeros(grid.shape, dtype=bool)
    if not at_low.any() and not at_high.any():
        return 0.0, 0.0
    box = _exposed_box(grid, high - low)
    at_low, at_high = at_low[box], at_high[box]
    inside = ~reached_from_edge(at_low | at_high)
    return float((at_low & inside).mean()), float((at_high & inside).mean())


def _is_pile(grid: NDArray[np.int64], value: int, spread: int, inwards: int) -> bool:
    """Whether far more pixels have this very value, or lie beyond it, than its neighbours have each."""
    width = max(2, round(spread * NEIGHBOUR_SHARE))
    steps = (grid - value) * inwards
    at_value = int((steps <= 0).sum())
    beside = int(((steps > 0) & (steps <= width)).sum())
    return at_value > PILE_FACTOR * beside / width


def _exposed_box(grid: NDArray[np.int64], spread: int) -> tuple[slice, slice]:
    """The part between the first and the last row and column in which something is to be seen."""
    box = []
    for lines in (grid, grid.T):
        low, high = np.percentile(lines, (5, 95), axis=1)
        seen = np.flatnonzero(high - low >= FLAT_SHARE * spread)
        box.append(slice(int(seen[0]), int(seen[-1]) + 1) if seen.size else slice(0, lines.shape[0]))
    return box[0], box[1]


def reached_from_edge(mask: Mask) -> Mask:
    """Those pixels of ``mask`` that hang together with its edge, along rows and columns."""
    reached = mask.copy()
    reached[1:-1, 1:-1] = False
    while True:
        before = int(reached.sum())
        for lines, wanted in ((reached, mask), (reached[::-1], mask[::-1])):
            for index in range(1, lines.shape[0]):
                lines[index] |= lines[index - 1] & wanted[index]
        for lines, wanted in ((reached.T, mask.T), (reached.T[::-1], mask.T[::-1])):
            for index in range(1, lines.shape[0]):
                lines[index] |= lines[index - 1] & wanted[index]
        if int(reached.sum()) == before:
            return reached
