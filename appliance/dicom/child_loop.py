"""The other end of ``bounded_child``: what every child process that meets untrusted bytes does beside its answers."""

from __future__ import annotations

import json
import resource
import select
import sys
import warnings
from collections.abc import Callable
from typing import Any


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]], memory_bytes_max: int, idle_s_max: float) -> None:
    """Answer until standard input closes or nothing is asked for ``idle_s_max`` seconds.

    Args:
        answer: Takes a question and never raises.
        memory_bytes_max: Address space that this process may have from now on.
        idle_s_max: Seconds.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    while select.select([sys.stdin], [], [], idle_s_max)[0]:
        line = sys.stdin.buffer.readline()
        if not line:
            return
        sys.stdout.buffer.write(json.dumps(answer(json.loads(line))).encode("ascii") + b"\n")
        sys.stdout.buffer.flush()


def take_every_value() -> None:
    """Have pydicom take values as they are: what is wrong with them is for others to say."""
    from pydicom import config

    config.settings.reading_validation_mode = config.IGNORE
    config.settings.writing_validation_mode = config.IGNORE
