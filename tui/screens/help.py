"""F1: what this page is for, and every key with the reason when it cannot be used now."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.actions import ACTIONS, Situation


class HelpDialog(ModalScreen[None]):
    """Drawn over the page it explains."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,enter", "dismiss", show=False)]

    def __init__(self, page_help: str, action_ids: tuple[str, ...], situation: Situation) -> None:
        super().__init__()
        self._text = help_text(page_help, action_ids, situation)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(self._text, markup=False)


def help_text(page_help: str, action_ids: tuple[str, ...], situation: Situation) -> str:
    """The page's sentence, then one line a key."""
    lines = [page_help, ""]
    for action in ACTIONS:
        if action.action_id in (*action_ids, "leave"):
            reason = action.blocked(situation)
            not_now = f" Not now: {reason}." if reason else ""
            lines.append(f"{action.key_name:<6} {action.label(situation.selected)} - {action.help}{not_now}")
    lines += ["Esc    Back, from anywhere."]
    return "\n".join(lines)
