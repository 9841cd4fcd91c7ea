"""Asks a child process that meets untrusted bytes: one JSON question a line, one JSON answer a line.

The child bounds its own memory, each question has a bound on time, and a child that dies or stalls costs one question.
It is started when the first question comes, and may end by itself when none comes for a while, so that an idle unit
does not carry its libraries in memory.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

ANSWER_BYTES_MAX = 64 * 1024


class ChildError(Exception):
    """There is no answer.

    Attributes:
        code: ``parser-died`` (the child crashed or hit its memory bound), ``parser-stalled`` (no answer in time), or
            what the child itself said in ``{"error": [code, reason]}``.
        reason: Without patient identity.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class BoundedChild:
    """One child of ``python -m module arguments``; one question at a time, from one thread."""

    def __init__(self, module: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._argv = [sys.executable, "-m", module, *arguments]
        self._environment = {**os.environ, **(environment or {})}
        self.process: subprocess.Popen[bytes] | None = None
        """The child as it runs now, for those who watch it."""

    def start(self) -> None:
        """Start the child if it does not run, without waiting for it."""
        self._running()

    def ask(self, question: Mapping[str, Any], answer_s_max: float) -> dict[str, Any]:
        """The child's answer.

        Raises:
            ChildError: If there is none; the next question is answered all the same.
        """
        line = json.dumps(question).encode("ascii") + b"\n"
        child = self._running()
        if not _put(child, line):
            # It ended after its idle time, between our look and our word: that says nothing about this file.
            self.close()
            child = self._running()
            _put(child, line)
        try:
            answer = json.loads(self._answer(child, answer_s_max))
        except ValueError as error:
            self.close()
            raise ChildError("parser-died", "its answer was cut short") from error
        if not isinstance(answer, dict) or "error" in answer:
            code, reason = answer["error"] if isinstance(answer, dict) else ("parser-died", "no answer")
            raise ChildError(str(code), str(reason))
        return answer

    def close(self) -> None:
        """End the child; the next question starts another."""
        child, self.process = self.process, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()

    def reap(self) -> None:
        """Forget a child that ended by itself, so that it does not stay a zombie."""
        if self.process is not None and self.process.poll() is not None:
            self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        self.reap()
        if self.process is None:
            self.process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
            )
        return self.process

    def _answer(self, child: subprocess.Popen[bytes], answer_s_max: float) -> bytes:
        assert child.stdout is not None
        descriptor = child.stdout.fileno()
        received = b""
        while not received.endswith(b"\n"):
            if not select.select([descriptor], [], [], answer_s_max)[0]:
                self.close()
                raise ChildError("parser-stalled", f"no answer within {answer_s_max:.0f} s")
            piece = os.read(descriptor, ANSWER_BYTES_MAX)
            if not piece or len(received) + len(piece) > ANSWER_BYTES_MAX:
                self.close()
                raise ChildError("parser-died", "the reading process ended on this file")
            received += piece
        return received


def _put(child: subprocess.Popen[bytes], line: bytes) -> bool:
    assert child.stdin is not None
    try:
        child.stdin.write(line)
        child.stdin.flush()
    except BrokenPipeError:
        return False
    return True
