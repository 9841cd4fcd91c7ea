"""``qafila update``: prove a release and have systemd-sysupdate install it into the slot that is not in use.

Run as root by ``qafila-update.service`` when a release has arrived. The running slot is never touched; the new one is
started at the next boot and has three tries to pass its self-check, then systemd-boot goes back by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.cli.exits import ENVIRONMENT, FINE, NEEDS_PERSON, CliError
from appliance.cli.options import Subparsers
from appliance.clock import SystemClock

if TYPE_CHECKING:
    from appliance.update.status import State

OS_RELEASE = Path("/etc/os-release")
BOARD = Path("/usr/lib/qafila/board")
KEYS = Path("/usr/lib/qafila/update-keys")
FOLDER = Path("/data/update")
VERIFIED = FOLDER / "verified"
CLOCK = SystemClock()
SYSUPDATE = "/usr/lib/systemd/systemd-sysupdate"


def add(subparsers: Subparsers) -> None:
    """Register the ``update`` command."""
    parser = subparsers.add_parser("update", help="on an appliance: prove a release and install it beside this one")
    parser.add_argument("folder", type=Path, nargs="?", help="with release.json, release.sig and the files")
    parser.add_argument("--good", action="store_true", help="this release works: never go below it again")
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    from appliance.update.release import ReleaseError, check_newer, load_keys, read_release, read_running, unpack
    from appliance.update.sentences import status_line
    from appliance.update.status import State, raise_floor, read_floor, read_status

    release = None
    try:
        image, installed = read_running(_text(OS_RELEASE), _text(BOARD))
        if arguments.good:
            raise_floor(FOLDER, installed)
            return FINE
        if arguments.folder is None:
            print(f"This is {image} {installed}; it has been {read_floor(FOLDER)} at most.")
            if line := status_line(read_status(FOLDER), installed, CLOCK.boot_id()):
                print(line)
            return FINE
        release = read_release(arguments.folder, load_keys(KEYS))
        if (release.image, release.version) == (image, installed):
            # Power went between the end of an installation and the removal of what had arrived.
            print(f"Release {installed} is what runs here; there is nothing to do.")
            return FINE
        check_newer(release, image, installed, read_floor(FOLDER))
        _tell(arguments.folder, State.INSTALLING, release.version)
        unpack(release, arguments.folder, VERIFIED)
    except ReleaseError as error:
        if arguments.folder is not None:
            _tell(arguments.folder, State.REFUSED, release.version if release else 0, error.why)
        raise CliError(
            f"The release is refused: {error}. Nothing was changed, and the unit goes on with what it has.",
            NEEDS_PERSON,
            "release-refused",
        ) from error
    except OSError as error:
        if release is None:
            raise
        _tell(arguments.folder, State.FAILED, release.version)
        raise CliError(
            f"The release could not be unpacked: {error.strerror}. Nothing was changed; the unit goes on with what it "
            "has. Make room on the disk and try again.",
            ENVIRONMENT,
            "release-not-installed",
        ) from error
    done = subprocess.run([SYSUPDATE, "update", str(release.version)], check=False)
    shutil.rmtree(VERIFIED)
    _tell(arguments.folder, State.FAILED if done.returncode else State.INSTALLED, release.version)
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


def _text(path: Path) -> str:
    """Empty when there is no such file."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8")
    return ""


def _tell(folder: Path, state: State, version: int, why: str = "") -> None:
    """For the unit and its people to read; a disk that does not take it hinders nothing."""
    from appliance.update.release import list_digest
    from appliance.update.status import Status, write_status

    said = Status(state=state, version=version, why=why, list_sha256=list_digest(folder), boot_id=CLOCK.boot_id())
    with contextlib.suppress(OSError):
        write_status(FOLDER, said)
