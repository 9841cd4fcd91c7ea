"""How a worker process behaves: it stands back for capture, is bounded, and never outlives the service. Linux only.

Each wish is granted as far as the kernel and the sandbox allow; a refusal costs manners, never work.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import resource
import signal
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "armv7l": 314}
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_IDLE = 3 << 13
_OOM_SCORE = "800"
"""When memory runs out, a worker goes before Orthanc and the databases: its work can be done again."""
_NICE_OF_PREVIEWS = 10


class Manner(StrEnum):
    """How much a worker stands back."""

    IDLE = "idle"
    """It runs when nobody else wants the processor or the disk."""
    PROMPT = "prompt"
    """It runs beside the others with a small share: somebody waits for a first look."""


def die_with(parent_pid: int) -> None:
    """Have the kernel end this process when the one that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before the line above: no signal will come
        os._exit(1)


def stand_back(manner: Manner) -> None:
    """Lower this process's claim on processor, disk and memory."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    if manner is Manner.PROMPT:
        with suppress(OSError):
            os.nice(_NICE_OF_PREVIEWS)
        return
    with suppress(OSError):
        os.nice(19)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    if number := _IOPRIO_SET.get(platform.machine()):
        ctypes.CDLL(None, use_errno=True).syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_IDLE)


def bound_memory(memory_bytes_max: int) -> None:
    """Refuse more private memory than this; what is mapped from libraries does not count."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes_max, memory_bytes_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def bound_cpu(more_s: float) -> None:
    """Let this process use so much more processor time; then the kernel kills it. Waiting for others costs nothing."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + more_s)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
