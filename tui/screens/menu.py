"""Dialogs over a page: choose one of some lines, or confirm what is hard to reverse; arrows, Enter, Esc."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from appliance.domain.wording import told
from tui import arabic, language
from tui.widgets.prose import Prose


@dataclass(frozen=True, slots=True)
class Choice:
    """One line; with a ``reason`` it is greyed and cannot be chosen."""

    choice_id: str
    label: str
    reason: str = ""

    @property
    def line(self) -> str:
        """As it is shown."""
        said = language.shown(self.label)
        if self.reason:
            said = f"({language.say('{label} - not now: {reason}', label=said, reason=self.reason)})"
        return arabic.visual(said)


class Menu(ModalScreen[str]):
    """Gives back the ``choice_id``, or an empty text after Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self, title: str, choices: Sequence[Choice], chosen: str = "", note: str = "") -> None:
        super().__init__()
        self._title, self._choices, self._chosen, self._note = title, choices, chosen, note

    def compose(self) -> ComposeResult:
        options = [
            Option(Content(one.line), id=f"c{number}", disabled=bool(one.reason))
            for number, one in enumerate(self._choices)
        ]
        with Vertical(classes="dialog"):
            yield Prose(self._title, classes="dialog-title")
            if self._note:
                yield Prose(self._note, classes="dialog-note")
            yield OptionList(*options)

    def on_mount(self) -> None:
        """Start where one is."""
        ids = [one.choice_id for one in self._choices]
        open_to = [number for number, one in enumerate(self._choices) if not one.reason]
        if open_to:
            wanted = ids.index(self._chosen) if self._chosen in ids else open_to[0]
            self.query_one(OptionList).highlighted = wanted
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Enter."""
        message.stop()
        self.dismiss(self._choices[message.option_index].choice_id)

    def action_leave(self) -> None:
        """Esc changes nothing."""
        self.dismiss("")


class Confirm(ModalScreen[bool]):
    """For what is hard to reverse: says who, which ID and how many; Cancel is the default (``ux.md`` 4)."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self, question: str, do_it: str) -> None:
        super().__init__()
        self._question, self._do_it = question, do_it

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Prose(self._question, classes="dialog-title")
            yield OptionList(
                Option(Content(arabic.visual(language.say(told("Cancel")))), id="cancel"),
                Option(Content(arabic.visual(language.shown(self._do_it))), id="do"),
            )

    def on_mount(self) -> None:
        """Enter alone changes nothing."""
        self.query_one(OptionList).highlighted = 0
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """The one or the other."""
        message.stop()
        self.dismiss(message.option_id == "do")

    def action_leave(self) -> None:
        """Esc is Cancel."""
        self.dismiss(False)
