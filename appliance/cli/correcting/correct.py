"""``qafila correct``: attributes of a study, or of single pictures of it, get other values."""

from __future__ import annotations

import argparse

from appliance.cli.common import Subparsers, find_study
from appliance.cli.correcting.common import add_who_and_why, as_values, at_desk, said


def add(subparsers: Subparsers) -> None:
    """Register the ``correct`` command."""
    parser = subparsers.add_parser("correct", help="correct what a study says")
    parser.add_argument("uid", metavar="UID", help="Study Instance UID, or its beginning or end")
    parser.add_argument(
        "values", metavar="KEYWORD=VALUE", nargs="+", help="for instance PatientID=VAN1-7 or Laterality=R"
    )
    parser.add_argument("--image", action="append", default=[], metavar="UID", help="SOP Instance UID; only these")
    add_who_and_why(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with at_desk(arguments) as (actions, who):
        study, values = find_study(actions.db, arguments.uid), as_values(arguments.values)
        done = actions.correct(study, values, arguments.reason, who, images=arguments.image)
        return said(arguments, actions, [done])
