"""F1: what this page is for, and every key with the reason when it cannot be used now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from tui.actions import Action
from tui.language import say, shown
from tui.widgets.prose import Prose


class HelpDialog(ModalScreen[None]):
    """Drawn over the page it explains."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,enter", "dismiss", show=False)]

    def __init__(self, page_help: str, focused: str, actions: Iterable[tuple[Action, str, str]]) -> None:
        super().__init__()
        self._text = help_text(page_help, focused, actions)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Prose(self._text)


def help_text(page_help: str, focused: str, actions: Iterable[tuple[Action, str, str]]) -> str:
    """The page's sentence, that of the focused field, then one line a key: its action, label and why not now."""
    lines = [say(page_help), *([say(focused)] if focused else []), ""]
    for action, label, reason in actions:
        not_now = " " + say("Not now: {reason}.", reason=reason) if reason else ""
        lines.append(f"{shown(action.key_name):<6} {label} - {say(action.help)}{not_now}")
    lines.append(say("Esc    Back, from anywhere."))
    return "\n".join(lines)
