"""A list of lines with headings among them; the chosen line stays chosen when the lines are drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from appliance.domain.display import reads_right_to_left
from tui import arabic, language

SCROLLBAR_CELLS = 2
CURSOR = "›"
"""Before the chosen line, so that colour is not needed to find it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line; a heading cannot be chosen."""

    item_id: str
    text: str
    is_heading: bool = False
    style: str = ""
    """Of Textual's content markup: ``bold``, ``dim``."""


class Items(OptionList):
    """Arrows choose; what Enter, Space, left and right do is the page's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", show=False),
        Binding("left", "step(-1)", show=False),
        Binding("right", "step(1)", show=False),
    ]

    class Chosen(Message):
        """Another line."""

    class Entered(Message):
        """Enter, or a finger."""

    class Marked(Message):
        """Space."""

    class Stepped(Message):
        """Left (-1) or right (1)."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._items: tuple[Item, ...] = ()
        self._drawn_width = 0
        self._cursor_at: int | None = None

    @property
    def chosen(self) -> str:
        """Of the line that keys act on; empty when there is none."""
        index = self.highlighted
        return self._items[index].item_id if index is not None and index < len(self._items) else ""

    @property
    def item_ids(self) -> tuple[str, ...]:
        """In their order, without headings."""
        return tuple(one.item_id for one in self._items if not one.is_heading)

    def show_items(self, items: Sequence[Item]) -> None:
        """Draw these; nothing happens when they are as before."""
        if tuple(items) == self._items:
            return
        chosen = self.chosen
        self._items = tuple(items)
        self._draw()
        self.choose(chosen)

    def choose(self, item_id: str) -> bool:
        """Go to a line, else to the first that can be chosen; whether it was there."""
        ids = [one.item_id if not one.is_heading else None for one in self._items]
        found = item_id in ids
        first = next((number for number, one in enumerate(ids) if one is not None), None)
        self.highlighted = ids.index(item_id) if found else first
        return found

    def _draw(self) -> None:
        chosen, self._drawn_width = self.highlighted, self.size.width
        self.set_options(
            Option(self._content(one, number == self._cursor_at), id=f"i{number}", disabled=one.is_heading)
            for number, one in enumerate(self._items)
        )
        if chosen is not None and chosen < len(self._items):
            self.highlighted = chosen

    def watch_highlighted(self, highlighted: int | None) -> None:
        """The mark goes with the choice."""
        super().watch_highlighted(highlighted)
        before, self._cursor_at = self._cursor_at, highlighted
        for number in {before, highlighted} - {None}:
            if number is not None and number < min(self.option_count, len(self._items)):
                content = self._content(self._items[number], number == highlighted)
                self.replace_option_prompt_at_index(number, content)

    def _content(self, one: Item, is_chosen: bool) -> Content:
        said = language.shown(one.text)
        if not one.is_heading:
            said = f"{CURSOR if is_chosen else ' '}{said}"
        if reads_right_to_left(said):
            turned = language.spoken() == "ar"
            width = max(self._drawn_width - SCROLLBAR_CELLS, 10)
            said = "\n".join(arabic.visual(line, whole_line=turned) for line in arabic.wrapped(said, width))
        return Content.styled(said, "bold" if one.is_heading else one.style)

    def on_resize(self) -> None:
        """Lines with Arabic are wrapped here, before they are turned."""
        if self.size.width != self._drawn_width and any(reads_right_to_left(one.text) for one in self._items):
            self._draw()

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """The page hears of it by our own name."""
        message.stop()
        self.post_message(self.Chosen())

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """The same."""
        message.stop()
        self.post_message(self.Entered())

    def action_mark(self) -> None:
        """Space."""
        self.post_message(self.Marked())

    def action_step(self, step: int) -> None:
        """Left or right."""
        self.post_message(self.Stepped(step))
