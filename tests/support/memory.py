"""A bound on a running process's memory, kept by the kernel: what goes beyond it is killed as on a full machine."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


def missing_for_memory_bounds() -> str:
    """Why no bound can be set here; empty when one can."""
    if os.geteuid() != 0:
        return "needs root, to make a control group"
    if _is_v2():
        return (
            "" if "memory" in (_V2 / "cgroup.subtree_control").read_text().split() else "memory is not delegated here"
        )
    return "" if (_V1 / "memory.limit_in_bytes").exists() else "no memory control groups here"


@contextlib.contextmanager
def memory_bound(process_id: int, more_bytes: int) -> Iterator[Path]:
    """Let a process take ``more_bytes`` beyond what it has; the group's folder.

    The group is removed at the end; a process that still lives goes back to where it was.
    """
    home = _home_of(process_id)
    group = (_V2 if _is_v2() else _V1) / f"qafila-test-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    try:
        # Memory that it has already stays on its old account, in both versions.
        limit = group / ("memory.max" if _is_v2() else "memory.limit_in_bytes")
        limit.write_text(str(more_bytes))
        (group / "cgroup.procs").write_text(str(process_id))
        yield group
    finally:
        for left in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (home / "cgroup.procs").write_text(left)
        group.rmdir()


def killed_count(group: Path) -> int:
    """How often the kernel killed in that group for lack of memory."""
    file = group / ("memory.events" if _is_v2() else "memory.oom_control")
    facts = dict(line.split() for line in file.read_text().splitlines())
    return int(facts["oom_kill"])


def _is_v2() -> bool:
    return (_V2 / "cgroup.controllers").exists()


def _home_of(process_id: int) -> Path:
    for line in Path(f"/proc/{process_id}/cgroup").read_text().splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers == ("" if _is_v2() else "memory"):
            return (_V2 if _is_v2() else _V1) / name.lstrip("/")
    raise AssertionError("the process is in no memory group")
