"""``qafila central studies``: what units announced, what can be looked at, and what is proved to be in the PACS."""

from __future__ import annotations

import argparse

from appliance.cli.central_common import centre_of
from appliance.cli.common import CLOCK, print_json, zone_now
from appliance.cli.exits import FINE
from appliance.domain import display, sentences
from central.store.listing import CentralStudy, list_studies


def run(arguments: argparse.Namespace) -> int:
    """Show them."""
    with centre_of(arguments) as (_, database), database.read() as connection:
        studies = list_studies(connection, arguments.uid)
    if arguments.json:
        print_json({"studies": studies})
        return FINE
    if not studies:
        print("No unit has announced such a study." if arguments.uid else "No unit has announced a study yet.")
    for study in studies:
        print(_line(study))
    return FINE


def _line(study: CentralStudy) -> str:
    now_s, zone = CLOCK.wall_s(), zone_now()
    stat = sentences.STAT_MARK if study.priority == "stat" else ""
    count = max(study.expected_instance_count, len(study.instances))
    name = display.fit(display.person_name(study.patient_name), 24)
    if study.all_verified_at:
        state = f"all verified {sentences.clock_time(study.all_verified_at, zone, now_s)}"
    else:
        look = f", first look {sentences.clock_time(study.first_look_at, zone, now_s)}" if study.first_look_at else ""
        refused = f", {study.refused_count} refused" if study.refused_count else ""
        state = f"{study.verified_count} of {count} verified{refused}{look}"
    return f"{stat:<6} {study.unit_name:<16} {name} {state}  {study.study_instance_uid}"
