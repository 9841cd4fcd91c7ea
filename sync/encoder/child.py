"""A worker process as the service sees it: started by the first question, killed when it stalls or is in the way.

There is one way to stop work under way, for a time-out, for something more urgent and at the end: the process is
killed. Starting another one takes 0.2 s, and what it leaves behind is removed with its folder.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from appliance.clock import Clock
from sync.encoder.manners import Manner
from sync.encoder.messages import FRAME_BYTES_MAX, Answer, Question, answer_of, frame_bytes, framed

WORKER = (sys.executable, "-m", "sync.encoder.worker")


class WorkerLost(Exception):
    """No answer will come.

    Attributes:
        reason: ``died`` (a crash, or a bound of memory or processor time), ``stalled`` (no answer in time) or
            ``interrupted`` (by us).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """How to start one; ``command`` is replaced in tests by a worker that misbehaves."""

    manner: Manner
    memory_bytes_max: int
    command: Sequence[str] = WORKER

    def argv(self) -> list[str]:
        """The command line, for a worker of this process."""
        return [
            *self.command,
            f"--manner={self.manner}",
            f"--memory-bytes-max={self.memory_bytes_max}",
            f"--parent-pid={os.getpid()}",
        ]


class Worker:
    """``ask`` and ``close`` from one thread, which must outlive the process; ``interrupt`` and ``shut`` from any."""

    def __init__(self, spec: WorkerSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._is_asking = False
        self._is_interrupted = False
        self._is_shut = False

    @property
    def pid(self) -> int | None:
        """Of the running process, if one runs."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def ask(self, question: Question, wall_s_max: float) -> Answer:
        """The answer to one question; blocks.

        Args:
            question: What to do; its own bound on processor time is kept by the kernel.
            wall_s_max: For a worker that stands still without using the processor, on a broken disk for instance.

        Raises:
            WorkerLost: If none comes; the next question starts another worker.
            OSError: If no process can be started.
        """
        with self._lock:
            if self._is_shut:
                raise WorkerLost("interrupted")
            child = self._running()
            self._is_asking, self._is_interrupted = True, False
        try:
            return answer_of(self._exchange(child, framed(question), wall_s_max))
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            self.close()
            raise WorkerLost("interrupted" if self._is_interrupted else "died") from error
        except WorkerLost:
            self.close()
            raise
        finally:
            self._is_asking = False
            if self._is_interrupted:  # after its answer came, perhaps: it must not meet the next question half dead
                self.close()

    def interrupt(self) -> None:
        """Kill the process if it works on a question; ``ask`` then raises."""
        with self._lock:
            if self._child is not None and self._is_asking:
                self._is_interrupted = True
                self._child.kill()

    def shut(self) -> None:
        """As ``interrupt``, and let every later question fail at once."""
        with self._lock:
            self._is_shut = True
        self.interrupt()

    def close(self) -> None:
        """End the process; the next question starts another."""
        with self._lock:
            child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            _shut(self._child)
            self._child = None
        if self._child is None:
            self._child = subprocess.Popen(
                self._spec.argv(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                # BLAS threads would take 90 MB of address space, and nothing here multiplies matrices
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        return self._child

    def _exchange(self, child: subprocess.Popen[bytes], question: bytes, wall_s_max: float) -> bytes:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(question)  # far below a pipe's capacity, and the worker reads at once
        end_mono_s = self._clock.mono_s() + wall_s_max
        received = b""
        while (length := frame_bytes(received)) is None or len(received) < length:
            left_s = end_mono_s - self._clock.mono_s()
            if left_s <= 0 or not select.select([child.stdout], [], [], left_s)[0]:
                raise WorkerLost("stalled")
            piece = os.read(child.stdout.fileno(), FRAME_BYTES_MAX)
            if not piece:
                raise WorkerLost("interrupted" if self._is_interrupted else "died")
            received += piece
        return received


def _shut(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe:
            pipe.close()
