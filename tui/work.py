"""What a page may ask of the unit, and how: in a thread, with an answer by message, and the last question wins."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from textual.message import Message
from textual.widget import Widget

from tui.reader import ReadTrouble

T = TypeVar("T")


class Answered(Message):
    """A thread has an answer; ``show`` puts it on the screen, in the event loop."""

    def __init__(self, group: str, number: int, show: Callable[[], None]) -> None:
        super().__init__()
        self.group = group
        self.number = number
        self.show = show


class Said(Message):
    """One sentence for the line above the status, on whatever page is open; bubbles to the app."""

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence


class Asks(Widget):
    """Mixed into pages and dialogs: ``self.ask(work, show)``."""

    _asked: dict[str, int]

    def ask(
        self,
        work: Callable[[], T],
        show: Callable[[T], None],
        *,
        group: str = "ask",
        trouble: Callable[[ReadTrouble], None] | None = None,
    ) -> None:
        """Run ``work`` in a thread, then ``show`` its answer unless the same group was asked again meanwhile.

        Args:
            work: May block; reads and writes through the unit's services, never a widget.
            show: Gets the answer in the event loop.
            group: Questions that make each other's answers old.
            trouble: Gets a ``ReadTrouble``; without it its sentence is said on the page.
        """
        if not hasattr(self, "_asked"):
            self._asked = {}
        number = self._asked[group] = self._asked.get(group, 0) + 1
        complain = trouble or (lambda error: void(self.post_message(Said(error.sentence))))

        def run() -> None:
            try:
                answer = work()
            except ReadTrouble as error:
                self.post_message(Answered(group, number, partial(complain, error)))
            else:
                self.post_message(Answered(group, number, lambda: show(answer)))

        self.run_worker(run, thread=True, group=group)

    def on_answered(self, message: Answered) -> None:
        """Only the answer to the last question of its group is shown."""
        message.stop()
        if self.is_mounted and self._asked.get(message.group) == message.number:
            message.show()


def terminal_actor() -> str:
    """Whose terminal it is, for the journal, where nobody signs in."""
    try:
        return f"screen:{getpass.getuser()}"
    except (KeyError, OSError):
        return "screen"


def void(_: object) -> None:
    """For a lambda whose value nobody wants."""
