"""``qafila doctor``: every health check with its level, sentence and hint; ``qafila doctor device`` tries a device out.

Exit code 1 when somebody has to look.
"""

from __future__ import annotations

import argparse

from appliance.cli.common import CLOCK, Subparsers, add_options, config_of, print_json, reader_of
from appliance.cli.exits import FINE, NEEDS_PERSON, USAGE, CliError


def add(subparsers: Subparsers) -> None:
    """Register the ``doctor`` command."""
    parser = subparsers.add_parser("doctor", help="check the unit's health, or try a device out")
    parser.add_argument("what", nargs="?", choices=["device"], help="try devices out instead")
    parser.add_argument("name", nargs="?", metavar="NAME", help="AE title or name of one under [[modality]]")
    device = parser.add_argument_group("with 'device'")
    device.add_argument("--no-wait", action="store_true", help="say what was seen so far; wait for nobody")
    device.add_argument("--again", action="store_true", help="begin anew, though it passed or is under way")
    device.add_argument("--without", default="", metavar="STEP,...", help="what the device does not have")
    device.add_argument("--modality", default="", help="of the test exam (default: what it sent last, else DX)")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.what == "device":
        from appliance.cli.doctor.device import run

        return run(arguments)
    if arguments.no_wait or arguments.again or arguments.without or arguments.modality:
        raise CliError(
            "These options belong to 'qafila doctor device'. Nothing was done. Say that, and which device.",
            USAGE,
            "no-device",
        )
    return _examine(arguments)


def _examine(arguments: argparse.Namespace) -> int:
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
