"""A USB stick with a release, as somebody plugs it into the guest and pulls it out again."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.image.machine import Machine, tool

STICK_BYTES = 1024**3
COPY_S_MAX, INSTALL_S_MAX = 1800.0, 3600.0
UPDATE = "qafila-update.service"


@contextlib.contextmanager
def plugged(machine: Machine, release: Path) -> Iterator[None]:
    """The guest with a stick that holds the files of ``release``."""
    plug(machine, release)
    try:
        yield
    finally:
        machine.qmp("device_del", id="stick")
        machine.wait_for(lambda: _unplugged(machine), 60, "the stick is gone")


def plug(machine: Machine, release: Path) -> None:
    """It stays until the machine is switched off."""
    stick = machine.folder / f"{release.name}.fat"
    if not stick.exists():
        with stick.open("wb") as made:
            made.truncate(STICK_BYTES)
        files = [str(path) for path in release.iterdir()]
        for command in (
            ("mkfs.vfat", "-F", "32", "-n", "QAFILA-UPD", str(stick)),
            ("mcopy", "-i", str(stick), *files, "::"),
        ):
            subprocess.run(tool(machine.folder, *command, also=release), check=True, stdin=subprocess.DEVNULL)
    file = {"driver": "file", "filename": str(stick)}
    machine.qmp("blockdev-add", **{"node-name": "stick", "driver": "raw", "read-only": True, "file": file})
    machine.qmp("device_add", driver="usb-storage", drive="stick", id="stick", bus="usb.0")


def bring(machine: Machine, release: Path) -> str:
    """Plug a stick with a release in, and wait for what becomes of it: the result of the update's service."""
    before = invocation(machine)
    with plugged(machine, release):
        machine.wait_for(lambda: invocation(machine) != before, COPY_S_MAX, "the release is copied from the stick")
        wait_until_installed(machine)
    return result(machine)


def wait_until_installed(machine: Machine) -> None:
    """Or refused."""
    machine.wait_for(lambda: not is_updating(machine), INSTALL_S_MAX, "the release is installed or refused")


def invocation(machine: Machine) -> str:
    """Which run of the update's service the last one was."""
    return machine.run(f"systemctl show -P InvocationID {UPDATE}").strip()


def is_updating(machine: Machine) -> bool:
    return machine.run(f"systemctl show -P ActiveState {UPDATE}").strip() not in ("inactive", "failed")


def result(machine: Machine) -> str:
    """How the last run of the update's service ended."""
    return machine.run(f"systemctl show -P Result {UPDATE}").strip()


def _unplugged(machine: Machine) -> bool:
    try:
        machine.qmp("blockdev-del", **{"node-name": "stick"})
    except RuntimeError:
        return False
    return True
