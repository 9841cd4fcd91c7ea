"""``qafila tui``: opens the screen; needs a terminal, and nothing that runs."""

from __future__ import annotations

import argparse
import sys

from appliance.cli.common import Subparsers, add_options, config_of
from appliance.cli.exits import ENVIRONMENT, CliError


def add(subparsers: Subparsers) -> None:
    """Register the ``tui`` command."""
    parser = subparsers.add_parser("tui", help="the screen: today's studies, the queue, and whether power may go")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    config = config_of(arguments)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CliError(
            "The screen needs a terminal, and this is none. Nothing was changed. Use 'qafila status' instead.",
            ENVIRONMENT,
            "no-terminal",
        )
    from tui.run import run

    return run(config)
