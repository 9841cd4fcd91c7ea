"""Lines of text on a page; said in the language of the screen, and Arabic shaped, at the moment of drawing."""

from __future__ import annotations

from rich.text import Text
from textual.geometry import Size
from textual.visual import VisualType
from textual.widgets import Static

from appliance.domain.display import cell_width, reads_right_to_left
from tui import arabic, language


class Prose(Static):
    """A ``Static`` without markup that takes text, a ``Wording`` among it, or a Rich ``Text`` drawn as it is."""

    def __init__(self, text: str = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(markup=False, id=id, classes=classes)
        self._said: str | Text = text
        self._shown: str | Text | None = None
        self._width = 0

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        """Show something else."""
        assert isinstance(content, str | Text)
        self._said = content
        self._show(layout=layout)

    def reword(self) -> None:
        """The language changed."""
        self.update(self._said)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        if width != self._width:
            self._width = width
            self._show(layout=False)
        return super().get_content_height(container, viewport, width)

    def on_mount(self) -> None:
        """Say what the page was made with."""
        self._show()

    def on_resize(self) -> None:
        """Lines with Arabic are wrapped here, before they are turned."""
        if self.size.width != self._width:
            self._width = self.size.width
            self._show()

    def _show(self, *, layout: bool = True) -> None:
        """Nothing where it is so already: each layout draws the whole screen anew, pictures too."""
        drawn = self._drawn()
        if drawn != self._shown:
            self._shown = drawn
            super().update(drawn, layout=layout)

    def _drawn(self) -> str | Text:
        if isinstance(self._said, Text):
            return self._said
        said = language.shown(self._said)
        if not reads_right_to_left(said) or self._width <= 0:
            return said
        turned = language.spoken() == "ar"
        lines = arabic.wrapped(said, self._width)
        drawn = [arabic.visual(line, whole_line=turned) for line in lines]
        if turned:  # a screen in Arabic begins at the right edge
            drawn = [" " * (self._width - cell_width(line)) + line for line in drawn]
        return "\n".join(drawn)
