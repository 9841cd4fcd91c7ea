"""``qafila update``: prove a release and have systemd-sysupdate install it into the slot that is not in use.

Run as root by ``qafila-update.service`` when a release has arrived. The running slot is never touched; the new one is
started at the next boot and has three tries to pass its self-check, then systemd-boot goes back by itself.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.cli.exits import ENVIRONMENT, FINE, NEEDS_PERSON, CliError
from appliance.cli.options import Subparsers

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

OS_RELEASE = Path("/etc/os-release")
KEYS = Path("/usr/lib/qafila/update-keys")
VERIFIED = Path("/data/update/verified")
FLOOR = Path("/data/update/floor")
SYSUPDATE = "/usr/lib/systemd/systemd-sysupdate"


def add(subparsers: Subparsers) -> None:
    """Register the ``update`` command."""
    parser = subparsers.add_parser("update", help="on an appliance: prove a release and install it beside this one")
    parser.add_argument("folder", type=Path, nargs="?", help="with release.json, release.sig and the files")
    parser.add_argument("--good", action="store_true", help="this release works: never go below it again")
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    from appliance.update.release import ReleaseError, check_newer, read_os_release, read_release, unpack

    try:
        image, installed = read_os_release(OS_RELEASE.read_text(encoding="utf-8"))
        if arguments.good:
            _note_good(installed)
            return FINE
        if arguments.folder is None:
            print(f"This is {image} {installed}; it has been {_floor()} at most.")
            return FINE
        release = read_release(arguments.folder, _keys())
        if (release.image, release.version) == (image, installed):
            # Power went between the end of an installation and the removal of what had arrived.
            print(f"Release {installed} is what runs here; there is nothing to do.")
            return FINE
        check_newer(release, image, installed, _floor())
        unpack(release, arguments.folder, VERIFIED)
    except ReleaseError as error:
        raise CliError(
            f"The release is refused: {error}. Nothing was changed, and the unit goes on with what it has.",
            NEEDS_PERSON,
            "release-refused",
        ) from error
    done = subprocess.run([SYSUPDATE, "update", str(release.version)], check=False)
    shutil.rmtree(VERIFIED)
    if done.returncode != 0:
        raise CliError(
            f"The release could not be installed (systemd-sysupdate ended with {done.returncode}). The running one was "
            "not touched; the unit goes on with it. Try again, and look into the journal.",
            ENVIRONMENT,
            "release-not-installed",
        )
    print(
        f"Release {release.version} is installed and starts at the next power-on. If it does not work, this one does."
    )
    return FINE


def _keys() -> tuple[Ed25519PublicKey, ...]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    loaded = [load_pem_public_key(path.read_bytes()) for path in sorted(KEYS.glob("*.pem"))]
    return tuple(key for key in loaded if isinstance(key, Ed25519PublicKey))


def _floor() -> int:
    """The newest version that was once found good here."""
    try:
        return int(FLOOR.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def _note_good(version: int) -> None:
    """Durable: written beside, synced, renamed."""
    if version <= _floor():
        return
    partial = FLOOR.with_suffix(".new")
    with partial.open("w", encoding="ascii") as opened:
        opened.write(f"{version}\n")
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(FLOOR)
    descriptor = os.open(FLOOR.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
