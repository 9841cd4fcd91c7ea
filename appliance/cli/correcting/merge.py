"""``qafila merge``: two patient records are one person."""

from __future__ import annotations

import argparse

from appliance.cli.common import Subparsers
from appliance.cli.correcting.common import add_who_and_why, at_desk, said
from appliance.corrections.identity import patient_named


def add(subparsers: Subparsers) -> None:
    """Register the ``merge`` command."""
    parser = subparsers.add_parser("merge", help="say that two patient records are one person")
    parser.add_argument("patient", metavar="PATIENT", help="identifier of the record that goes")
    parser.add_argument("into", metavar="INTO", help="identifier of the record that stays")
    add_who_and_why(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with at_desk(arguments) as (actions, who):
        goes, stays = (patient_named(actions.db, text) for text in (arguments.patient, arguments.into))
        return said(arguments, actions, actions.merge(goes.patient_key, stays.patient_key, arguments.reason, who))
