"""How a broken promise is told."""

from __future__ import annotations


class Violation(AssertionError):
    """A promise was broken; ``rule`` names it, so that shrinking keeps to the same one."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule
