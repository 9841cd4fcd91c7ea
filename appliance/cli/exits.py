"""Exit codes, documented in ``docs/reference/cli.md``, and the error that carries one."""

from __future__ import annotations

FINE = 0
NEEDS_PERSON = 1
USAGE = 2
"""argparse's own."""
ENVIRONMENT = 3
NOT_FOUND = 4
TIMED_OUT = 5
BUG = 70
"""``EX_SOFTWARE`` of sysexits.h."""
INTERRUPTED = 130
BROKEN_PIPE = 141


class CliError(Exception):
    """Ends the command with a sentence: what happened, what is safe, what to do now."""

    def __init__(self, sentence: str, exit_code: int, code: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.exit_code = exit_code
        self.code = code
        """Short stable word for scripts."""
