"""``qafila doctor``: every health check with its level, sentence and hint; exit code 1 when somebody has to look."""

from __future__ import annotations

import argparse

from appliance.cli.common import CLOCK, Subparsers, add_options, config_of, print_json, reader_of
from appliance.cli.exits import FINE, NEEDS_PERSON


def add(subparsers: Subparsers) -> None:
    """Register the ``doctor`` command."""
    parser = subparsers.add_parser("doctor", help="check the unit's health")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    from appliance.health import examine
    from appliance.health.check import Subject

    config = config_of(arguments)
    with reader_of(arguments) as reader:
        results = examine(Subject(config, arguments.config, CLOCK, reader))
    code = NEEDS_PERSON if any(result.level.needs_person for result in results) else FINE
    if arguments.json:
        print_json({"healthy": code == FINE, "checks": results})
        return code
    for result in results:
        print(f"{result.level.upper():<8} {result.check}: {result.sentence}")
        if result.hint and result.level.needs_person:
            print(f"         {result.hint}")
    return code
