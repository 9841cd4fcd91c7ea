"""A small picture in half-cells: two pixels a cell, one above the other. For orientation only, and it says so."""

from __future__ import annotations

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from appliance.domain.rendered import Rendered

HALF = "▀"
ROWS_PER_CELL = 2


class Preview(Widget):
    """Draws what it is given in its middle; nothing given, nothing drawn."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rendered: Rendered | None = None

    def show(self, rendered: Rendered | None) -> None:
        """Another picture, or none."""
        self._rendered = rendered
        self.refresh()

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the largest picture that can be drawn."""
        return self.size.width, self.size.height * ROWS_PER_CELL

    def render_line(self, y: int) -> Strip:
        """Two rows of pixels."""
        width, shown = self.size.width, self._rendered
        if shown is None:
            return Strip.blank(width, self.rich_style)
        drawn = min(shown.width_px, width)
        top = ROWS_PER_CELL * (y - max((self.size.height - shown.height_px // ROWS_PER_CELL) // 2, 0))
        if not 0 <= top < shown.height_px:
            return Strip.blank(width, self.rich_style)
        left = (width - drawn) // 2
        cells = [Segment(" " * left, self.rich_style)]
        for x in range(drawn):
            upper, lower = shown.rgb(x, top), shown.rgb(x, top + 1)
            cells.append(Segment(HALF, Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))))
        cells.append(Segment(" " * (width - drawn - left), self.rich_style))
        return Strip(cells, width)
