"""``python -m sync.encoder.worker``: the child process where untrusted pixels meet codecs; one question at a time.

It may be killed at any moment: what it leaves counts only with its answer. Started by ``sync.encoder.child`` only.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from sync.encoder.manners import Manner, bound_cpu, bound_memory, die_with, stand_back
from sync.encoder.messages import (
    FRAME_BYTES_MAX,
    PIXELS,
    PREVIEW,
    SKELETON,
    Answer,
    Code,
    Coded,
    Failed,
    Picture,
    Pictured,
    Question,
    Warm,
    Warmed,
    frame_bytes,
    framed,
    question_of,
)

_READ_BYTES = 1024 * 1024
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""Only writing gives these."""


def answer(question: Question) -> Answer:
    """Do what is asked; whatever goes wrong with the file or the disk becomes ``Failed``."""
    if isinstance(question, Warm):
        importlib.import_module("sync.wire.preview")
        return Warmed()
    path = Path(question.path)
    try:
        return _coded(path, question) if isinstance(question, Code) else _pictured(path, question)
    except OSError as error:
        return Failed(code=_whose_fault(path, error), detail=errno.errorcode.get(error.errno or 0, "?"))
    except Exception as error:
        # The text of a parser's error may quote values of the data set, hence patient identity: only its type goes out.
        return Failed(code="unfit", detail=type(error).__name__)


def _coded(path: Path, question: Code) -> Coded:
    from sync.wire.encode import Effort, encode

    folder = Path(question.folder)
    made = encode(path, folder / PIXELS, Effort(jxl=question.jxl, zstd=question.zstd))
    (folder / SKELETON).write_bytes(made.skeleton)
    return Coded(
        sha256=made.sha256,
        size_bytes=made.size_bytes,
        skeleton_sha256=hashlib.sha256(made.skeleton).hexdigest(),
        skeleton_bytes=len(made.skeleton),
        pixels_sha256=made.pixels_sha256,
        pixels_bytes=made.pixels_bytes,
        restores_sha256=made.restores_sha256,
        restores_bytes=made.restores_bytes,
        codec=made.codec,
    )


def _pictured(path: Path, question: Picture) -> Pictured:
    from sync.wire.preview import make_preview

    made = make_preview(path)
    if made is None:
        return Pictured()
    (Path(question.folder) / PREVIEW).write_bytes(made.data)
    return Pictured(sha256=hashlib.sha256(made.data).hexdigest(), size_bytes=len(made.data), media_type=made.media_type)


def _whose_fault(path: Path, error: OSError) -> str:
    """The stored file's or the spool's: a bad spool must never have a sound file taken for a damaged one."""
    if error.errno in _NO_ROOM:
        return "no-room"
    try:
        with path.open("rb", buffering=0) as file:
            while file.read(_READ_BYTES):
                pass
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "io-error"
    return "no-room"


def serve(read: Callable[[], bytes | None], write: Callable[[bytes], None]) -> None:
    """Answer until ``read`` has nothing more; a frame that is no question ends it as well."""
    received = b""
    while (piece := read()) is not None:
        received += piece
        while (length := frame_bytes(received)) is not None and len(received) >= length:
            question, received = question_of(received[:length]), received[length:]
            bound_cpu(question.cpu_s_max)
            write(framed(answer(question)))


def main() -> None:
    """Serve standard input until it closes."""
    parser = argparse.ArgumentParser(prog="python -m sync.encoder.worker", description=__doc__)
    parser.add_argument("--manner", type=Manner, required=True)
    parser.add_argument("--memory-bytes-max", type=int, required=True)
    parser.add_argument("--parent-pid", type=int, required=True)
    options = parser.parse_args()
    die_with(options.parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which ends its workers in order
    stand_back(options.manner)
    bound_memory(options.memory_bytes_max)
    questions, answers = sys.stdin.fileno(), sys.stdout.fileno()

    def read() -> bytes | None:
        return os.read(questions, FRAME_BYTES_MAX) or None

    def write(frame: bytes) -> None:
        while frame:
            frame = frame[os.write(answers, frame) :]

    serve(read, write)


if __name__ == "__main__":
    main()
