"""The options that are the same everywhere; apart from ``common``, for a command that runs for days imports no more."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TypeAlias

DEFAULT_CONFIG = "/etc/qafila/unit.toml"

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What ``add`` is given; argparse has no public name for it, and the class has type parameters only for checkers."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """``--config`` and ``--json``, the same everywhere."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(os.environ.get("QAFILA_CONFIG", DEFAULT_CONFIG)),
        help=f"unit.toml (default: $QAFILA_CONFIG or {DEFAULT_CONFIG})",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of sentences")
