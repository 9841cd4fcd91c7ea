"""``qafila release UID``: let a held study go on."""

from __future__ import annotations

from appliance.cli.common import Subparsers
from appliance.cli.wishes import add_wish_options, run_wish


def add(subparsers: Subparsers) -> None:
    """Register the ``release`` command."""
    parser = subparsers.add_parser("release", help="let a held study go on")
    add_wish_options(parser)
    parser.set_defaults(handler=lambda arguments: run_wish(arguments, "release"))
