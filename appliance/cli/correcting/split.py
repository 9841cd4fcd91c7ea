"""``qafila split``: pictures of another patient go to that patient's registration."""

from __future__ import annotations

import argparse

from appliance.cli.common import Subparsers, find_study
from appliance.cli.correcting.common import add_who_and_why, at_desk, said
from appliance.corrections.identity import registration_named
from appliance.corrections.rejecting import split


def add(subparsers: Subparsers) -> None:
    """Register the ``split`` command."""
    parser = subparsers.add_parser("split", help="split pictures off to the patient whose they are")
    parser.add_argument("uid", metavar="UID", help="Study Instance UID, or its beginning or end")
    parser.add_argument("exam", metavar="EXAM", help="accession number of the right patient's exam, or the end of it")
    parser.add_argument(
        "--image", action="append", required=True, metavar="UID", help="SOP Instance UID; again for more"
    )
    add_who_and_why(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with at_desk(arguments) as (actions, who):
        study = find_study(actions.db, arguments.uid)
        whose = registration_named(actions.db, arguments.exam)
        return said(arguments, actions, [split(actions, study, arguments.image, whose, arguments.reason, who)])
