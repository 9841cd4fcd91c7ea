"""What every page has in common: the frame, its own actions, and what to do with a new picture of the unit."""

from __future__ import annotations

from datetime import tzinfo
from typing import ClassVar

from textual.app import ComposeResult
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from appliance.domain.snapshot import Snapshot, StudyRow
from tui.widgets.frame import Frame


class Page(Screen[None]):
    """A full page over the frame; subclasses say what it is for, what can be done and how it draws."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]  # noqa: RUF012 - Textual reads it from the class
    ACTION_IDS: ClassVar[tuple[str, ...]] = ()
    HELP_TEXT: ClassVar[str] = ""

    class Ready(Message):
        """The page's widgets exist; whoever holds the picture may draw it."""

        def __init__(self, page: Page) -> None:
            super().__init__()
            self.page = page

    def on_mount(self) -> None:
        """Ask to be drawn."""
        self.post_message(self.Ready(self))

    def compose(self) -> ComposeResult:
        yield from self.compose_content()
        yield Frame()

    def compose_content(self) -> list[Widget]:
        """The widgets above the frame."""
        raise NotImplementedError

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """Draw a new picture of the unit."""
        raise NotImplementedError

    @property
    def frame(self) -> Frame:
        """The lines at the bottom."""
        return self.query_one(Frame)

    @property
    def selected(self) -> StudyRow | None:
        """The study that keys act on."""
        return None
