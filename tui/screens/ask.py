"""A dialog with one line to type into; what was typed stays when it is not taken, a hidden one is not shown."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui.widgets.fields import Field
from tui.widgets.prose import Prose


class Ask(ModalScreen[str]):
    """Gives back what was typed, or an empty text after Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self, title: str, value: str = "", note: str = "", *, hidden: bool = False) -> None:
        super().__init__()
        self._title, self._value, self._note, self._hidden = title, value, note, hidden

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Prose(self._title, classes="dialog-title")
            if self._note:
                yield Prose(self._note, classes="dialog-note")
            yield Field("answer")

    def on_mount(self) -> None:
        """Type at once."""
        field = self.query_one(Field)
        field.password = self._hidden
        field.value = self._value
        field.cursor_position = len(self._value)
        field.focus()

    def on_field_entered(self, message: Field.Entered) -> None:
        """Enter; nothing typed asks on."""
        message.stop()
        if self.query_one(Field).value.strip():
            self.dismiss(self.query_one(Field).value.strip())

    def action_leave(self) -> None:
        """Esc changes nothing."""
        self.dismiss("")
