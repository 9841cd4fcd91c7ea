"""Sticks that are real block devices: an ext4 file system on a loop device, and what can happen to one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
_SHUTDOWN = 0x8004587D
"""``EXT4_IOC_SHUTDOWN``: from now on the file system answers every access with EIO, as if its device were gone."""
_WITHOUT_FLUSHING = 2
TOOLS = ("mkfs.ext4", "losetup", "mount", "umount", "fallocate")


def missing_for_media() -> str:
    """Why sticks cannot be made here; empty when they can."""
    if os.geteuid() != 0:
        return "loop devices and mounts need root"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"needs {', '.join(missing)}"
    return "" if Path("/dev/loop-control").exists() else "needs loop devices"


@dataclass(slots=True)
class Medium:
    """A stick: its file system's image, where it is plugged in, and the device while it is."""

    image: Path
    at: Path
    device: str = ""

    @classmethod
    def made(cls, folder: Path, size_bytes: int) -> Medium:
        """Formatted and plugged in."""
        image, at = folder / "stick.img", folder / "media"
        at.mkdir()
        with image.open("wb") as file:
            file.truncate(size_bytes)
        _run("mkfs.ext4", "-q", "-F", "-b", "1024", "-m", "0", str(image))
        medium = cls(image, at)
        medium.plug_in()
        return medium

    def plug_in(self, options: str = "rw") -> None:
        self.device = _run("losetup", "--find", "--show", str(self.image)).strip()
        _run("mount", "-o", options, self.device, str(self.at))

    def unplug(self, *how: str) -> None:
        """As a person who waited for the word; ``-f`` forces, ``-l`` leaves it to those who hold it."""
        _run("umount", *how, str(self.at))
        _run("losetup", "--detach", self.device)

    def pull(self) -> None:
        """As a person who did not: nothing that memory still holds is written, and every access fails."""
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, _WITHOUT_FLUSHING.to_bytes(4, "little"))
        finally:
            os.close(fd)

    def plug_in_again(self) -> None:
        """After ``pull`` and ``unplug``: what the device holds, on a device of its own.

        Some mount namespace of another test may still hold the file system that was pulled, and would pass it on.
        """
        self.image = Path(shutil.copy(self.image, self.image.with_suffix(".again")))
        self.plug_in()

    def forget_beyond(self, offset_bytes: int) -> None:
        """What a stick does that claims to be larger than it is."""
        length = self.image.stat().st_size - offset_bytes
        _run("fallocate", "--punch-hole", "-o", str(offset_bytes), "-l", str(length), str(self.image))

    @property
    def is_plugged_in(self) -> bool:
        return self.at.is_mount()


@contextlib.contextmanager
def made_medium(folder: Path, size_bytes: int) -> Iterator[Medium]:
    """A stick that is gone at the end, whatever a test did to it."""
    medium = Medium.made(folder, size_bytes)
    try:
        yield medium
    finally:
        if medium.is_plugged_in:
            medium.unplug("-l")
        medium.image.unlink()


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout
