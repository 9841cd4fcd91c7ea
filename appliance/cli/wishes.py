"""Commands that ask the sync process for something: they write a row and, with ``--wait``, read the answer in it."""

from __future__ import annotations

import argparse
import getpass
import os
import threading

from appliance.cli.common import CLOCK, add_options, config_of, find_study, print_json
from appliance.cli.exits import FINE, TIMED_OUT, CliError
from appliance.store.commands import Command, give_command, read_command
from appliance.store.connect import Store, open_unit

WAIT_S = 30.0
WRITE_WAIT_S = 10.0
LOOK_S = 0.1


def add_wish_options(parser: argparse.ArgumentParser) -> None:
    """The study, the reason, and whether to wait."""
    parser.add_argument("uid", metavar="UID", help="Study Instance UID, or its beginning or end")
    add_giving_options(parser)


def add_giving_options(parser: argparse.ArgumentParser) -> None:
    """Reason and waiting, for commands that choose the study themselves."""
    parser.add_argument("--reason", default="", help="why; kept in the history")
    parser.add_argument("--wait", action="store_true", help=f"until it is carried out, at most {WAIT_S:.0f} s")
    add_options(parser)


def run_wish(arguments: argparse.Namespace, kind: str) -> int:
    """Give one command for one study and say what became of it."""
    with open_unit(config_of(arguments).unit_db, wait_s=WRITE_WAIT_S, clock=CLOCK) as db:
        uid = find_study(db, arguments.uid)
        command = give(db, kind, uid, arguments.reason)
        if arguments.wait:
            command = wait_for(db, command)
    if arguments.json:
        print_json({"command": command})
    elif command.finished_at:
        print(command.outcome)
    else:
        print(f"Noted: {kind} {uid}. The sync process carries it out; see 'qafila study'.")
    return FINE


def give(db: Store, kind: str, uid: str, reason: str) -> Command:
    """Write the command row."""
    command_id = give_command(db, db.stamp(), kind, uid, actor(), reason)
    return _known(db, command_id)


def wait_for(db: Store, command: Command) -> Command:
    """The command once it is finished.

    Raises:
        CliError: It was not carried out in time; it stays noted.
    """
    deadline_mono_s = CLOCK.mono_s() + WAIT_S
    pause = threading.Event()
    while not command.finished_at:
        if CLOCK.mono_s() >= deadline_mono_s:
            raise CliError(
                f"It is noted but was not carried out within {WAIT_S:.0f} s; the sync process may not be running. "
                "Nothing is lost: it is carried out when sync runs again. 'qafila doctor' says what is wrong.",
                TIMED_OUT,
                "not-carried-out-yet",
            )
        pause.wait(LOOK_S)
        command = _known(db, command.command_id)
    return command


def actor() -> str:
    """Who types, for the history."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def _known(db: Store, command_id: int) -> Command:
    command = read_command(db, command_id)
    assert command is not None, "command rows are never deleted"
    return command
