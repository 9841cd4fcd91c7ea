"""``qafila firstboot``: asks who this appliance is and locks its data partition.

Runs once, as root, before the data partition is opened; ``qafila-firstboot.service`` of the image starts it.
"""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path

import msgspec

from appliance.cli.exits import ENVIRONMENT, FINE, NOT_FOUND, CliError
from appliance.cli.options import Subparsers
from appliance.firstboot.answers import AnswersError, files, read_answers
from appliance.firstboot.dialogue import Terminal, ask_all, show_recovery_key
from appliance.firstboot.disk import DEVICE, DiskError, dump, is_needed, lock, recovery_key

CREDENTIAL = "qafila.answers"


def add(subparsers: Subparsers) -> None:
    """Register the ``firstboot`` command."""
    parser = subparsers.add_parser("firstboot", help="on an appliance: say who this unit is, and lock its disk; once")
    parser.add_argument(
        "--needed", action="store_true", help="only say by the exit code whether that is still to be done"
    )
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    if not DEVICE.exists():
        raise CliError(
            f"There is no data partition here ({DEVICE}). Nothing was changed. This command belongs to an appliance "
            "that was started from its image.",
            ENVIRONMENT,
            "no-data-partition",
        )
    try:
        if arguments.needed:
            return FINE if is_needed(dump()) else NOT_FOUND
        recovery = ""
        handed = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), CREDENTIAL)
        if handed.exists():
            answers = read_answers(handed.read_text(encoding="utf-8"))
        else:
            terminal = Terminal(input, getpass.getpass, print)
            answers, recovery = ask_all(terminal, _interfaces()), recovery_key()
            show_recovery_key(terminal, recovery)
        if not answers.modality_interface:
            answers = msgspec.structs.replace(answers, modality_interface=next(iter(_interfaces()), ""))
        print("The disk is being locked, about 20 s / Le disque est en cours de chiffrement ...", flush=True)
        lock(answers.passphrase, files(answers), recovery)
    except (AnswersError, DiskError, EOFError) as error:
        raise CliError(
            f"The unit could not be enrolled: {error}. Start it again.",
            ENVIRONMENT,
            "not-enrolled",
        ) from error
    print(f"This unit is {answers.name}. Its passphrase is asked for at every start.", flush=True)
    return FINE


def _interfaces() -> tuple[str, ...]:
    """Wired sockets with a device behind them, in the kernel's order of names."""
    net = Path("/sys/class/net")
    wired = (each for each in net.iterdir() if (each / "device").exists() and not (each / "wireless").exists())
    return tuple(sorted(each.name for each in wired))
