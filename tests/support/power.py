"""A power-cut rig: an ext4 file system on a loop device whose backing file can be cloned at any instant.

The backing file lies on btrfs, and a clone (FICLONE) is atomic: it holds exactly what the block device had been given
at that instant, and nothing of what the file system above still kept in memory. Mounting the clone is therefore what a
machine finds after a power cut, with a medium that honours flush. A volatile cache inside the medium is not modelled
here; the crash VFS does that for the databases. ``test_power_rig.py`` checks the rig before anything is believed of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FICLONE = 0x40049409
POOL_BYTES = 6 * 1024**3
DISK_BYTES = 512 * 1024**2
TOOLS = ("mkfs.btrfs", "mkfs.ext4", "losetup", "mount", "umount")


def missing_for_power_cuts() -> str:
    """Why the rig cannot run here, in words; empty when it can."""
    if os.geteuid() != 0:
        return "power cuts need root (loop devices and mounts)"
    tools = [tool for tool in TOOLS if shutil.which(tool) is None]
    if tools:
        return f"power cuts need {', '.join(tools)}"
    if not Path("/dev/loop-control").exists():
        return "power cuts need loop devices"
    filesystems = Path("/proc/filesystems").read_text()
    return "" if "btrfs" in filesystems and "ext4" in filesystems else "power cuts need btrfs and ext4 in the kernel"


@dataclass(frozen=True, slots=True)
class Disk:
    """One mounted ext4 whose power can be cut.

    Attributes:
        folder: Where it is mounted.
        image: Its backing file on the btrfs pool.
    """

    folder: Path
    image: Path

    def cut(self, name: str) -> Path:
        """The block device as it is at this instant, as a new image; the disk itself goes on."""
        clone = self.image.with_name(name)
        with self.image.open("rb") as source, clone.open("wb") as target:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        return clone


@contextlib.contextmanager
def power_pool(folder: Path) -> Iterator[Path]:
    """A btrfs in a sparse file under ``folder``; yields where disks may be put."""
    pool_file, mount_point = folder / "pool.img", folder / "pool"
    with pool_file.open("wb") as file:
        file.truncate(POOL_BYTES)
    _run("mkfs.btrfs", "-q", "-m", "single", str(pool_file))
    mount_point.mkdir()
    with _mounted(pool_file, mount_point, "btrfs", "noatime"):
        yield mount_point
    pool_file.unlink()


@contextlib.contextmanager
def new_disk(pool: Path, name: str, folder: Path, size_bytes: int = DISK_BYTES) -> Iterator[Disk]:
    """A fresh ext4 mounted at ``folder``."""
    image = pool / name
    with image.open("wb") as file:
        file.truncate(size_bytes)
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    with mounted_disk(image, folder) as disk:
        yield disk
    image.unlink()


@contextlib.contextmanager
def mounted_disk(image: Path, folder: Path) -> Iterator[Disk]:
    """An existing image (for instance one that ``cut`` made) mounted at ``folder``; the journal is replayed."""
    folder.mkdir(parents=True, exist_ok=True)
    with _mounted(image, folder, "ext4", "noatime"):
        yield Disk(folder, image)


@contextlib.contextmanager
def _mounted(image: Path, folder: Path, kind: str, options: str) -> Iterator[None]:
    device = _run("losetup", "--find", "--show", str(image)).strip()
    try:
        _run("mount", "-t", kind, "-o", options, device, str(folder))
        try:
            yield
        finally:
            _unmount(folder)
    finally:
        _run("losetup", "--detach", device)


def _unmount(folder: Path) -> None:
    """Lazily where it is busy: a mount namespace that some other test made meanwhile may hold a copy for a while."""
    try:
        _run("umount", str(folder))
    except RuntimeError:
        _run("umount", "--lazy", str(folder))


def _run(*argv: str) -> str:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout
