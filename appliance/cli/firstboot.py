"""``qafila firstboot``: asks who this appliance is and locks its data partition.

Runs once, as root, before the data partition is opened; ``qafila-firstboot.service`` of the image starts it.
"""

from __future__ import annotations

import argparse
import getpass
import os
import subprocess
from pathlib import Path

import msgspec

from appliance.cli.exits import ENVIRONMENT, FINE, NOT_FOUND, CliError
from appliance.cli.options import Subparsers
from appliance.firstboot import tpm
from appliance.firstboot.answers import KEYMAPS, AnswersError, files, read_answers
from appliance.firstboot.dialogue import Terminal, ask_all, show_recovery_key
from appliance.firstboot.disk import DEVICE, DiskError, Keys, dump, is_needed, lock, recovery_key

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
            terminal = Terminal(input, getpass.getpass, print, _use_keymap)
            answers = ask_all(terminal, _interfaces(), has_tpm=tpm.is_here())
            recovery = recovery_key()
            show_recovery_key(terminal, recovery)
        if not answers.modality_interface:
            answers = msgspec.structs.replace(answers, modality_interface=next(iter(_interfaces()), ""))
        print("The disk is being locked, about 20 s / Le disque est en cours de chiffrement ...", flush=True)
        pin = answers.tpm_pin if tpm.is_here() else ""
        trouble = lock(Keys(answers.passphrase, recovery, pin), files(answers), KEYMAPS[answers.keyboard])
    except (AnswersError, DiskError, EOFError) as error:
        raise CliError(
            f"The unit could not be enrolled: {error}. Start it again.",
            ENVIRONMENT,
            "not-enrolled",
        ) from error
    if trouble:
        print(f"The TPM does not take the PIN ({trouble}): the passphrase is asked for at every start.")
        print("Le TPM n'accepte pas le code PIN : la phrase secrète est demandée à chaque démarrage.")
    asked = "PIN / code PIN" if pin and not trouble else "passphrase / phrase secrète"
    print(f"{answers.name}: asked for at every start / demandé à chaque démarrage : {asked}", flush=True)
    return FINE


def _use_keymap(keymap: str) -> None:
    """Said in words when it fails: what is typed next would be typed on another keyboard at the next start."""
    try:
        subprocess.run(("loadkeys", "--quiet", keymap), capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"The keyboard stays as it is / Le clavier reste comme il est : {error}")


def _interfaces() -> tuple[str, ...]:
    """Wired sockets with a device behind them, in the kernel's order of names."""
    net = Path("/sys/class/net")
    wired = (each for each in net.iterdir() if (each / "device").exists() and not (each / "wireless").exists())
    return tuple(sorted(each.name for each in wired))
