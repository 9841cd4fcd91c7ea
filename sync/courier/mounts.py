"""Takes a stick out of the file tree and puts it back, so that what is read next comes from the medium alone.

Needs the right to mount. Nothing on a stick may be run, be a device or change rights: it is mounted so.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SAFE_OPTIONS = "nodev,nosuid,noexec"
_MOUNT_S_MAX = 120.0
"""Unmounting waits until all is written: at 4 MB/s, what a machine with 1 GB of memory may still hold, doubled."""


class MountError(Exception):
    """The stick cannot be taken out and put back; the text says why."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of ``/proc/self/mountinfo``, as far as it is needed."""

    point: Path
    source: str
    kind: str


def find_mount(path: Path, lines: Iterable[str]) -> Mount | None:
    """The mount whose point is ``path`` itself; the last one, for a later mount hides an earlier one."""
    wanted = os.path.realpath(path)
    found = None
    for line in lines:
        before, _, after = line.rstrip("\n").partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) > 4 and len(rest) > 1 and _plain(fields[4]) == wanted:
            found = Mount(Path(wanted), _plain(rest[1]), rest[0])
    return found


def mount_of(path: Path) -> Mount:
    """The stick mounted at ``path``.

    Raises:
        MountError: If nothing is mounted there, or it is no block device.
    """
    with Path("/proc/self/mountinfo").open(encoding="utf-8", errors="surrogateescape") as lines:
        found = find_mount(path, lines)
    if found is None or not found.source.startswith("/dev/"):
        raise MountError(f"{path} is not where a stick is mounted")
    return found


def remount(mount: Mount) -> None:
    """Unmount, which writes all of it, and mount again.

    Raises:
        MountError: If one of the two fails; the stick may be out of the file tree then.
    """
    _run(["umount", "--", str(mount.point)])
    _run(["mount", "-t", mount.kind, "-o", SAFE_OPTIONS, "--", mount.source, str(mount.point)])


def _run(words: list[str]) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_MOUNT_S_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MountError(f"{words[0]}: {error}") from error
    if done.returncode:
        raise MountError(done.stderr.strip() or f"{words[0]} ended with {done.returncode}")


def _plain(field: str) -> str:
    """The kernel writes blanks and the like as ``\\040``."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
