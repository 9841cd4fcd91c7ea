"""``qafila stat UID``: mark a study as urgent, or as routine again."""

from __future__ import annotations

from appliance.cli.common import Subparsers
from appliance.cli.wishes import add_wish_options, run_wish


def add(subparsers: Subparsers) -> None:
    """Register the ``stat`` command."""
    parser = subparsers.add_parser("stat", help="mark a study as urgent, or as routine again")
    add_wish_options(parser)
    parser.add_argument("--off", action="store_true", help="routine again")
    parser.set_defaults(handler=lambda arguments: run_wish(arguments, "routine" if arguments.off else "stat"))
