"""Faults put into a running process's system calls by ``strace --inject``."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

DETACH_S_MAX = 5.0


def missing_for_injection() -> str:
    """Why faults cannot be injected here; empty when they can."""
    if shutil.which("strace") is None:
        return "needs strace"
    return "" if os.geteuid() == 0 else "strace of another process needs root"


@contextlib.contextmanager
def injected(process_id: int, *faults: str, log: Path, paths: Sequence[Path] = ()) -> Iterator[None]:
    """Attach to a process and all its threads, with faults, for as long as the block lasts.

    Args:
        process_id: Of any process of ours.
        faults: In strace's words, for instance ``fdatasync:error=EIO:when=1``; counted from here on.
        log: Where strace writes what it traced; kept for the test's message.
        paths: Only calls on these files or folders, by name or descriptor; all calls when there is none.

    Raises:
        AssertionError: If strace could not attach; the message is strace's.
    """
    calls = ",".join({fault.split(":")[0] for fault in faults})
    injections = [word for fault in faults for word in ("-e", f"inject={fault}")]
    root = Path(f"/proc/{process_id}/root").readlink()  # strace sees the names inside a chroot from outside
    only = [word for path in paths for name in {path, root / path.relative_to("/")} for word in ("-P", str(name))]
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-p", str(process_id), "-o", str(log), "-e", f"trace={calls}", *only, *injections],
        stderr=subprocess.PIPE,
    )
    assert tracer.stderr is not None
    try:
        said = tracer.stderr.readline()  # strace speaks once it holds every thread
        assert b"attached" in said, said
        yield
    finally:
        tracer.terminate()
        tracer.stderr.close()
        try:
            tracer.wait(timeout=DETACH_S_MAX)
        except subprocess.TimeoutExpired:
            # It waits for ever for a thread that went in the middle of detaching; the kernel lets the others go.
            tracer.kill()
            tracer.wait()
