"""How a bug is planted in the core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sync.core import engine
from sync.core.state import Turn


@contextmanager
def handler(event: type, changed: Callable[[Callable[[Turn, Any], None], Turn, Any], None]) -> Iterator[None]:
    """Put ``changed(original, turn, event)`` in the place of an event's handler."""
    original = engine._HANDLERS[event]

    def handle(turn: Turn, given: Any) -> None:
        changed(original, turn, given)

    with patch.dict(engine._HANDLERS, {event: handle}):
        yield


def nothing(*_: Any, **__: Any) -> None:
    """In the place of a function that should do something."""
