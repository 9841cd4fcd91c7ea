"""``qafila retry UID``: offer a study that was set aside again, or try its link now."""

from __future__ import annotations

from appliance.cli.common import Subparsers
from appliance.cli.wishes import add_wish_options, run_wish


def add(subparsers: Subparsers) -> None:
    """Register the ``retry`` command."""
    parser = subparsers.add_parser("retry", help="offer a study that was set aside again, or try its link now")
    add_wish_options(parser)
    parser.set_defaults(handler=lambda arguments: run_wish(arguments, "retry"))
