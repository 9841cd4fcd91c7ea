"""``qafila exceptions``: studies of which it is not clear whose they are, and what speaks against them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from appliance.cli.common import CLOCK, Subparsers, add_options, config_of, print_json
from appliance.cli.exits import FINE, NEEDS_PERSON
from appliance.corrections.step import match_studies
from appliance.domain.display import safe_text
from appliance.domain.matching import DOUBT_SENTENCES, Doubt
from appliance.store.connect import Store, open_unit
from appliance.store.matching import Match, exceptions, said_of
from appliance.store.registrations import find_registration


@dataclass(frozen=True, slots=True)
class Shown:
    """One study that waits for a person; it was sent all the same, unless ``[matching] hold`` says otherwise."""

    study_instance_uid: str
    exception: str
    sentence: str
    at: str
    patient_name: str
    patient_id: str
    accession_number: str
    registration_key: str
    registration_accession_number: str


def add(subparsers: Subparsers) -> None:
    """Register the ``exceptions`` command."""
    parser = subparsers.add_parser("exceptions", help="studies of which it is not clear whose they are")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    config = config_of(arguments)
    with open_unit(config.unit_db, clock=CLOCK) as db:
        match_studies(db, config.matching.hold)  # what came this second counts too
        found = [_shown(db, match) for match in exceptions(db)]
    if arguments.json:
        print_json({"exceptions": found})
    for one in () if arguments.json else found:
        print(f"{one.study_instance_uid}  {safe_text(one.patient_name)} {safe_text(one.patient_id)}")
        print(f"  {one.exception}: {one.sentence}")
        if one.registration_accession_number:
            print(f"  It would be exam {one.registration_accession_number}.")
    if not found and not arguments.json:
        print("It is clear of every study whose it is.")
    return NEEDS_PERSON if found else FINE


def _shown(db: Store, match: Match) -> Shown:
    said = said_of(db, match.study_instance_uid)
    registration = find_registration(db, match.registration_key) if match.registration_key else None
    return Shown(
        study_instance_uid=match.study_instance_uid,
        exception=match.exception,
        sentence=DOUBT_SENTENCES[Doubt(match.exception)],
        at=match.at,
        patient_name=said.name if said else "",
        patient_id=said.patient_id if said else "",
        accession_number=said.accession_number if said else "",
        registration_key=match.registration_key,
        registration_accession_number=registration.accession_number if registration else "",
    )
