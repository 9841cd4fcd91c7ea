"""``qafila central run``: the centre's processes, from a configuration file to an open PACS."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the ``central`` command."""
    central = subparsers.add_parser("central", help="run the centre's processes in the foreground")
    actions = central.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="start the PACS, restart it when it dies, stop with Ctrl-C")
    run.add_argument("--config", type=Path, required=True, help="central.toml")
    run.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    from central.run import run

    return run(arguments.config.resolve())
