"""``qafila reconcile``: a study belongs to a registration, and its pictures say so from now on."""

from __future__ import annotations

import argparse

from appliance.cli.common import Subparsers, find_study
from appliance.cli.correcting.common import add_who_and_why, at_desk, said
from appliance.corrections.identity import registration_named


def add(subparsers: Subparsers) -> None:
    """Register the ``reconcile`` command."""
    parser = subparsers.add_parser("reconcile", help="say which exam a study belongs to")
    parser.add_argument("uid", metavar="UID", help="Study Instance UID, or its beginning or end")
    parser.add_argument("exam", metavar="EXAM", help="accession number of the exam, or the end of it")
    add_who_and_why(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with at_desk(arguments) as (actions, who):
        study = find_study(actions.db, arguments.uid)
        whose = registration_named(actions.db, arguments.exam)
        return said(arguments, actions, [actions.reconcile(study, whose, arguments.reason, who)])
