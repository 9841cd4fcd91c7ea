"""``qafila courier``: studies on a USB stick where there is no link, and the centre's receipts back."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from appliance.cli.common import Subparsers, add_options

ACTIONS: dict[str, tuple[str, str]] = {
    "export": ("exporting", "write what the centre has no receipt for onto a stick, and read it back"),
    "verify": ("verifying", "read a stick back, for instance after it was plugged in again"),
    "import": ("importing", "take in the receipts that the centre wrote onto a stick"),
    "status": ("showing", "which sticks carry what, and what has no receipt yet"),
}
"""Action, its module, and its line of help."""


def add(subparsers: Subparsers) -> None:
    """Register the ``courier`` command and its actions."""
    courier = subparsers.add_parser("courier", help="carry studies on a USB stick", description=__doc__)
    actions = courier.add_subparsers(dest="action", required=True)
    for name, (_, line) in ACTIONS.items():
        parser = actions.add_parser(name, help=line)
        if name != "status":
            parser.add_argument("path", type=Path, metavar="PATH", help="where the stick is mounted")
            parser.add_argument("--to", default="", metavar="NAME", help="the gateway, when the unit has several")
        if name == "export":
            _add_export(parser)
        if name == "import":
            parser.add_argument("--wait", action="store_true", help="until the sync process has noted them")
        add_options(parser)
        parser.set_defaults(handler=_act)


def _add_export(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--study", action="append", default=[], metavar="UID", help="this study only; may be repeated")
    which.add_argument("--all-unsent", action="store_true", help="every study without a receipt (the default)")
    parser.add_argument("--skip-carried", action="store_true", help="leave out what another stick carries already")
    parser.add_argument("--remount", action="store_true", help="unmount and mount the stick before it is read back")
    parser.add_argument("--progress", action="store_true", help="where it is, as JSON lines on standard error")
    parser.add_argument("--any-folder", action="store_true", help="PATH may be a folder on this unit's own disk")
    parser.add_argument(
        "--recovery-recipient", default="", metavar="AGE", help="a second age recipient that can open the stick"
    )


def _act(arguments: argparse.Namespace) -> int:
    module, _ = ACTIONS[arguments.action]
    return int(import_module(f"{__name__}.{module}").run(arguments))
