"""``qafila tui``: opens the screen; needs a terminal, and nothing that runs."""

from __future__ import annotations

import argparse
import gc
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
    # Importing Textual makes some 40,000 objects that stay; not scanning them again and again meanwhile starts the
    # screen about 0.1 s sooner (measured), of the second it may take.
    gc.disable()
    from tui.run import run

    gc.freeze()
    gc.enable()
    return run(config)
