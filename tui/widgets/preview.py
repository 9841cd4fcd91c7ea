"""A picture in the middle of its place: as pixels where the terminal has them, else in half-cells, two pixels a cell.

Pixels are written after the blank cells that they lie on, each time these are drawn. While a dialog lies over the page
there are none, for they would be drawn over it.
"""

from __future__ import annotations

from rich.color import Color
from rich.control import Control
from rich.segment import ControlType, Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.graphics.canvas import Canvas, Display, Picture

HALF = "▀"
ROWS_PER_CELL = 2


class Preview(Widget):
    """Draws what it is given; nothing given, nothing drawn."""

    def __init__(self, terminal: Display, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._terminal = terminal
        self._picture: Picture | None = None

    class Resized(Message):
        """It has another place now, for which a picture has to be made anew."""

    def on_resize(self) -> None:
        """Also when only the lines around it grow."""
        self.post_message(self.Resized())

    def show(self, picture: Picture | None) -> None:
        """Another picture, or none."""
        self._picture = picture
        self.refresh()

    @property
    def canvas(self) -> Canvas:
        """The place there is now."""
        return self._terminal.canvas(self.size.width, self.size.height)

    def render_lines(self, crop: Region) -> list[Strip]:
        strips = super().render_lines(crop)
        picture = self._picture
        if picture is None or not strips or not self.screen.is_active or picture.canvas != self.canvas:
            return strips
        written = picture.written(self.region.x, self.region.y)
        if not written:
            return strips
        last = strips[-1]
        # Rich measures and cuts what is no control; this one moves the cursor nowhere.
        control = Segment(written, None, Control((ControlType.CURSOR_FORWARD, 0)).segment.control)
        return [*strips[:-1], Strip([*last, control], last.cell_length)]

    def render_line(self, y: int) -> Strip:
        """Two rows of pixels, or blanks for pixels to lie on."""
        width, picture = self.size.width, self._picture
        if picture is None or picture.canvas.has_pixels:
            return Strip.blank(width, self.rich_style)
        shown = picture.rendered
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
