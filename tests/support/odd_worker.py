"""A real worker that misbehaves on the files that its control folder names.

``control/<stem of the stored file>`` holds what to do with it, and the lowest effort from which on: ``die 1``,
``exit 1``, ``spin 1``, ``grow 1``, ``babble 1``, ``hold 0``, or ``boast 0`` (a digest that is not the file's).
Previews count as effort -1. What is held waits until ``control/go-on`` is there. Each question is noted as a line of
``control/asked``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import msgspec

from sync.encoder import worker
from sync.encoder.messages import Answer, Code, Coded, Picture, Question

CONTROL = Path(next(word for word in sys.argv if word.startswith("--control=")).split("=", 1)[1])
REAL_ANSWER = worker.answer


def answer(question: Question) -> Answer:
    """Note it, misbehave if told so, else do what a worker does."""
    if not isinstance(question, Code | Picture):
        _note("warm")
        return REAL_ANSWER(question)
    stem = Path(question.path).stem
    effort = question.jxl if isinstance(question, Code) else -1
    _note(f"{stem} {effort if isinstance(question, Code) else 'preview'} {os.getpid()}")
    order = _order(stem)
    word, _, least = order.partition(" ")
    if word and effort >= int(least):
        _misbehave(word)
    made = REAL_ANSWER(question)
    if word == "boast" and isinstance(made, Coded):
        return msgspec.structs.replace(made, sha256="0" * 64)
    return made


def _order(stem: str) -> str:
    path = CONTROL / stem
    return path.read_text() if path.exists() else ""


def _misbehave(word: str) -> None:
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "exit":
        os._exit(0)
    if word == "babble":
        os.write(1, b"\0\0\0\1\xc1")
    if word == "spin":
        while True:
            pass
    if word == "grow":
        hoard = []
        while True:
            hoard.append(bytearray(1 << 24))
    if word == "hold":
        pause = threading.Event()
        while not (CONTROL / "go-on").exists():
            pause.wait(0.02)


def _note(line: str) -> None:
    with (CONTROL / "asked").open("a") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    sys.argv = [word for word in sys.argv if not word.startswith("--control=")]
    worker.answer = answer  # the worker looks it up by this name
    worker.main()
