"""``qafila tui``: opens the screen; needs a terminal, and nothing that runs."""

from __future__ import annotations

import argparse
import gc
import sys

from appliance.cli.common import CLOCK, Subparsers, add_options, config_of
from appliance.cli.exits import ENVIRONMENT, CliError
from appliance.config import GatewayDestination

ACCESS_FILE = "orthanc.json"
"""In the run folder: where Orthanc answers since its last start."""


def add(subparsers: Subparsers) -> None:
    """Register the ``tui`` command."""
    parser = subparsers.add_parser("tui", help="the screen: today's studies, the queue, and whether power may go")
    parser.add_argument("--demo", action="store_true", help="an invented unit's day, for training; nothing is kept")
    parser.add_argument(
        "--lang", choices=("fr", "en", "ar"), default="fr", help="of the demo (default fr; F4 switches)"
    )
    parser.add_argument(
        "--graphics",
        choices=("auto", "sixel", "kitty", "cells"),
        default="",
        help="how pictures are shown (default: as unit.toml says; auto goes by the terminal's name)",
    )
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    config = None if arguments.demo else config_of(arguments)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CliError(
            "The screen needs a terminal, and this is none. Nothing was changed. Use 'qafila status' instead.",
            ENVIRONMENT,
            "no-terminal",
        )
    # Importing Textual makes some 40,000 objects that stay; not scanning them again and again meanwhile starts the
    # screen about 0.1 s sooner (measured), of the second it may take.
    gc.disable()
    from appliance.cli.tui_courier import CommandCourier
    from appliance.orthanc.rendering import OrthancPreviews
    from tui.run import run

    gc.freeze()
    gc.enable()
    if config is None:
        from appliance.cli.tui_demo import run as play

        return play(arguments.lang, arguments.graphics)
    has_gateway = any(isinstance(one, GatewayDestination) for one in config.destination)
    courier = CommandCourier(config, arguments.config, CLOCK) if has_gateway else None
    return run(config, arguments.config, OrthancPreviews(config.run_dir / ACCESS_FILE), courier, arguments.graphics)
