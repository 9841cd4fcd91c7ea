"""``qafila central``: run the centre in the foreground, and look after its units."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from appliance.cli.common import Subparsers

ACTIONS: dict[str, tuple[str, str]] = {
    "enrol": ("appliance.cli.central_units", "make a one-time code for a new unit"),
    "units": ("appliance.cli.central_units", "the units, what they were last heard of, and alarms"),
    "revoke": ("appliance.cli.central_units", "end a unit's access, at once"),
    "account": ("appliance.cli.central_account", "the people who may look at the review pages"),
    "studies": ("appliance.cli.central_studies", "what units announced, and how far each image is"),
    "courier": ("appliance.cli.central_courier", "take in what units brought on a USB stick"),
    "new-epoch": ("appliance.cli.central_units", "after a restore: have every unit check what it delivered"),
}
"""Action, the module whose ``run`` does it, and its line of help."""


def add(subparsers: Subparsers) -> None:
    """Register the ``central`` command and its actions."""
    central = subparsers.add_parser("central", help="run the centre's processes in the foreground")
    actions = central.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="start PACS, gateway and review pages, restart what dies, stop with Ctrl-C")
    run.add_argument("--config", type=Path, required=True, help="central.toml")
    run.set_defaults(handler=_run)
    for name, (_, line) in ACTIONS.items():
        parser = actions.add_parser(name, help=line)
        if name in ("enrol", "revoke"):
            parser.add_argument("name", metavar="NAME", help="what people call the unit")
        if name == "studies":
            parser.add_argument("uid", nargs="?", default="", metavar="UID", help="this study only")
        if name in ("courier", "account"):
            import_module(ACTIONS[name][0]).add_arguments(parser)
        parser.add_argument("--config", type=Path, required=True, help="central.toml")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of sentences")
        parser.set_defaults(handler=_act)


def _run(arguments: argparse.Namespace) -> int:
    from central.run import run

    return run(arguments.config.resolve())


def _act(arguments: argparse.Namespace) -> int:
    module, _ = ACTIONS[arguments.action]
    return int(import_module(module).run(arguments))
