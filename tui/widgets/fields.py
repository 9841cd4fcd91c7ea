"""Fields of a form: text from keys or a paste, and one of a few choices; arrows and Enter move between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Key, Paste
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from appliance.domain.display import cell_width, fit, reads_right_to_left, safe_text
from tui import arabic, language

TEXT_CHARS_MAX = 64
"""Of one DICOM value; nothing longer can be typed or pasted."""
FIELDS = "Field, Pick"


_STEPS = {"up": -1, "down": 1, "shift+tab": -1, "tab": 1}


def went_on(widget: Widget, event: Key) -> bool:
    """Whether a key was about moving on, or belongs to where one has moved already; then it is done with here.

    Textual gives every key to what had the focus when it came in, and moves the focus later: a scanner, or somebody
    who types while the machine is busy, would fill the field before.
    """
    focused = widget.screen.focused
    if focused is not None and focused is not widget:
        focused._forward_event(Key(event.key, event.character))
    elif event.key in _STEPS:
        move_focus(widget, _STEPS[event.key])
    else:
        return False
    event.stop()
    event.prevent_default()
    return True


class Field(Input):
    """One line of text. A paste is cleaned and cut; Arabic is shown joined and from right to left as it is typed."""

    def __init__(self, name: str, help_text: str = "") -> None:
        super().__init__(name=name, id=f"f-{name}", max_length=TEXT_CHARS_MAX, compact=True, select_on_focus=False)
        self.tooltip = help_text or None
        self.cursor_blink = False

    class Entered(Message):
        """Enter in the last field."""

    def on_key(self, event: Key) -> None:
        """Enter goes on to the next field; after the last one the page is told."""
        if went_on(self, event) or event.key != "enter":
            return
        event.stop()
        event.prevent_default()
        if self.screen.query(FIELDS).last() is self:
            self.post_message(self.Entered())
        else:
            move_focus(self, 1)

    def _on_paste(self, event: Paste) -> None:
        """Of a megabyte with control characters, the part that can be a value."""
        event.stop()
        event.prevent_default()
        room = TEXT_CHARS_MAX - len(self.value)
        text = safe_text(event.text[: 4 * TEXT_CHARS_MAX])[: max(room, 0)]
        if text:
            self.insert_text_at_cursor(text)

    def render_line(self, y: int) -> Strip:
        if y != 0 or self.password or not reads_right_to_left(self.value):
            return super().render_line(y)
        width = self.scrollable_content_region.width + 1
        before, after = self.value[: self.cursor_position], self.value[self.cursor_position :]
        if not self.has_focus:
            return self._strip(arabic.visual(safe_text(self.value)), "", width, cursor=False)
        # Read from right to left: what stands before the cursor is at its right.
        return self._strip(arabic.visual(safe_text(after)), arabic.visual(safe_text(before)), width, cursor=True)

    def _strip(self, left: str, right: str, width: int, *, cursor: bool) -> Strip:
        style = self.rich_style
        segments = [Segment(left, style)]
        if cursor:
            segments.append(Segment(" ", self.get_component_rich_style("input--cursor")))
        segments.append(Segment(right, style))
        strip = Strip(segments)
        if strip.cell_length > width:  # the cursor's side stays
            strip = strip.crop(0, width)
        return strip.extend_cell_length(width, style)


class Pick(Widget, can_focus=True):
    """One of a few choices, changed with the left and right arrows; Enter and up and down move on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", show=False),
        Binding("right,space", "turn(1)", show=False),
    ]
    value: reactive[str] = reactive("")

    class Changed(Message):
        """Another choice."""

    class Entered(Message):
        """Enter on a field that opens a list."""

        def __init__(self, pick: Pick) -> None:
            super().__init__()
            self.pick = pick

    def __init__(
        self, name: str, choices: Sequence[tuple[str, str]] = (), help_text: str = "", *, has_list: bool = False
    ) -> None:
        super().__init__(name=name, id=f"f-{name}")
        self._choices = tuple(choices)
        self._has_list = has_list
        self.tooltip = help_text or None

    def offer(self, choices: Sequence[tuple[str, str]]) -> None:
        """Other choices; what was chosen stays, if it is among them."""
        self._choices = tuple(choices)
        self.refresh()

    def render(self) -> Text:
        label = next((label for value, label in self._choices if value == self.value), self.value)
        said = arabic.visual(safe_text(language.shown(label)))
        left, right = ("◂ ", " ▸") if self.has_focus else ("  ", "  ")
        room = max(self.size.width - cell_width(left + right), 0)
        return Text(f"{left}{fit(said, min(room, cell_width(said)))}{right}", no_wrap=True)

    def watch_value(self) -> None:
        """Tell the page."""
        self.post_message(self.Changed())

    def action_turn(self, step: int) -> None:
        """The next choice, round and round."""
        values = [value for value, _ in self._choices]
        if values:
            here = values.index(self.value) if self.value in values else -1 if step > 0 else 0
            self.value = values[(here + step) % len(values)]

    def on_key(self, event: Key) -> None:
        """Enter opens the list while nothing is chosen, else it goes on."""
        if went_on(self, event) or event.key != "enter":
            return
        event.stop()
        event.prevent_default()
        if self._has_list and not self.value:
            self.post_message(self.Entered(self))
        else:
            move_focus(self, 1)


def move_focus(widget: Widget, step: int) -> None:
    """To the field before or after."""
    if step < 0:
        widget.screen.focus_previous(FIELDS)
    else:
        widget.screen.focus_next(FIELDS)
