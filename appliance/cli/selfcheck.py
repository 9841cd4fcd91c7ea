"""``qafila selfcheck``: would a modality be answered now? Exit code 0 or 1; feeds the appliance's watchdog."""

from __future__ import annotations

import argparse

from appliance.cli.exits import FINE, NEEDS_PERSON
from appliance.cli.options import Subparsers, add_options
from appliance.config import load_unit
from appliance.health.selfcheck import SelfCheckError, echo


def add(subparsers: Subparsers) -> None:
    """Register the ``selfcheck`` command."""
    parser = subparsers.add_parser(
        "selfcheck", help="a C-ECHO through the unit's own door: would a modality be answered?"
    )
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        echo(load_unit(arguments.config))
    except SelfCheckError as error:
        reason, code = str(error), NEEDS_PERSON
    else:
        reason, code = "", FINE
    if arguments.json:
        import json

        print(json.dumps({"answers": code == FINE, "reason": reason}))
    elif code == FINE:
        print("A modality would be answered.")
    else:
        print(f"A modality would not be answered: {reason}. What is stored here is safe; see 'qafila doctor'.")
    return code
