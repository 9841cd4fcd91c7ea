"""Room on the link for something urgent: bodies under way stand still while a preview or a manifest goes out.

On 200 kbit/s a preview beside a long loop would take twice its time; in front of it, it takes its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Courtesy:
    """Shared by all calls of one destination; thread-safe."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._urgent_count = 0

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """Others make room until the block ends."""
        with self._condition:
            self._urgent_count += 1
        try:
            yield
        finally:
            with self._condition:
                self._urgent_count -= 1
                self._condition.notify_all()

    def give_way(self, s_max: float) -> None:
        """Wait while something urgent is under way, at most ``s_max`` seconds."""
        if self._urgent_count:
            with self._condition:
                self._condition.wait_for(lambda: not self._urgent_count, s_max)
