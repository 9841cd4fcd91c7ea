"""``qafila undo``: an action is taken back, as long as no destination may have seen it."""

from __future__ import annotations

import argparse

from appliance.cli.common import Subparsers, print_json
from appliance.cli.correcting.common import add_who_and_why, at_desk
from appliance.cli.exits import FINE


def add(subparsers: Subparsers) -> None:
    """Register the ``undo`` command."""
    parser = subparsers.add_parser("undo", help="take a correction, split, merge or rejection back")
    parser.add_argument("action", metavar="ACTION", type=int, help="number of the action")
    add_who_and_why(parser, reason_required=False)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with at_desk(arguments) as (actions, who):
        undone = actions.undo(arguments.action, who)
    if arguments.json:
        print_json({"undone": undone})
    else:
        print(f"Taken back: {', '.join(map(str, undone))}. Everything is as it was before.")
    return FINE
