"""``qafila hold UID``: keep a study here until it is released."""

from __future__ import annotations

from appliance.cli.common import Subparsers
from appliance.cli.wishes import add_wish_options, run_wish


def add(subparsers: Subparsers) -> None:
    """Register the ``hold`` command."""
    parser = subparsers.add_parser("hold", help="keep a study here until it is released")
    add_wish_options(parser)
    parser.set_defaults(handler=lambda arguments: run_wish(arguments, "hold"))
