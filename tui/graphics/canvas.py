"""The place of a picture in the terminal, and a picture made ready for it; pure.

A picture is made ready in a worker's thread, for that can take half a second; what the event loop does is write it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from appliance.domain.rendered import Rendered
from tui.graphics import kitty, sixel

PICTURE_PX_MAX = 640
"""Width and height with pixels: enough to see which picture it is, half a megabyte of sixels, half a second of work."""
HALF_CELL_PX = (1, 2)
_SAVE_CURSOR, _RESTORE_CURSOR = "\x1b7", "\x1b8"


class Graphics(StrEnum):
    """How a terminal can show a picture."""

    SIXEL = "sixel"
    KITTY = "kitty"
    CELLS = "cells"


@dataclass(frozen=True, slots=True)
class Canvas:
    """So many cells of a known size."""

    graphics: Graphics
    columns: int
    rows: int
    cell_px: tuple[int, int] = HALF_CELL_PX

    @property
    def has_pixels(self) -> bool:
        """Whether more can be seen than where things lie."""
        return self.graphics is not Graphics.CELLS

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the largest picture that may be drawn."""
        width, height = self.columns * self.cell_px[0], self.rows * self.cell_px[1]
        if not self.has_pixels:
            return width, height
        if self.graphics is Graphics.KITTY:
            height = min(height, kitty.ROW_COUNT_MAX * self.cell_px[1])
        # A band of sixels that is not full would be drawn over the line below.
        return min(width, PICTURE_PX_MAX), min(height, PICTURE_PX_MAX) // sixel.BAND_ROWS * sixel.BAND_ROWS

    def made_ready(self, rendered: Rendered) -> Picture:
        """The picture as it will be drawn here."""
        columns, rows = -(-rendered.width_px // self.cell_px[0]), -(-rendered.height_px // self.cell_px[1])
        payload = ""
        if self.graphics is Graphics.SIXEL:
            payload = sixel.encoded(rendered)
        elif self.graphics is Graphics.KITTY:
            payload = kitty.transmission(rendered, columns, rows)
        return Picture(self, rendered, columns, rows, payload)


@dataclass(frozen=True, slots=True)
class Picture:
    """Ready for one canvas; ``columns`` and ``rows`` are what it takes of it."""

    canvas: Canvas
    rendered: Rendered
    columns: int
    rows: int
    payload: str = ""

    def written(self, left: int, top: int) -> str:
        """What to send so that it stands in the middle of a canvas whose first cell is there (from 0); empty: nothing.

        The cursor is afterwards where it was.
        """
        left += (self.canvas.columns - self.columns) // 2
        top += (self.canvas.rows - self.rows) // 2
        if self.canvas.graphics is Graphics.SIXEL:
            drawn = _moved(left, top) + self.payload
        elif self.canvas.graphics is Graphics.KITTY:
            cells = (_moved(left, top + row) + kitty.placeholder_row(row, self.columns) for row in range(self.rows))
            drawn = self.payload + "".join(cells)
        else:
            return ""
        return f"{_SAVE_CURSOR}{drawn}{_RESTORE_CURSOR}"


CellSize = Callable[[], tuple[int, int] | None]
"""Of the terminal, in pixels; ``None`` where it does not tell."""


@dataclass(frozen=True, slots=True)
class Display:
    """The terminal, as far as pictures go."""

    graphics: Graphics = Graphics.CELLS
    cell_size: CellSize = lambda: None

    def canvas(self, columns: int, rows: int) -> Canvas:
        """A place of so many cells; of half-cells where the size of a cell is not known, for it would be a guess."""
        cell_px = self.cell_size() if self.graphics is not Graphics.CELLS else None
        if cell_px is None:
            return Canvas(Graphics.CELLS, columns, rows)
        return Canvas(self.graphics, columns, rows, cell_px)


def _moved(column: int, row: int) -> str:
    return f"\x1b[{row + 1};{column + 1}H"
