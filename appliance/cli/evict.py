"""``qafila evict``: asks sync to make room, or explains for every study why its pixels may or may not leave this unit.

Nothing is ever removed here: without ``--dry-run`` a command row is written, and sync asks every centre once more
before it removes anything.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

from appliance.cli.common import CLOCK, Subparsers, config_of, find_study, print_json, reader_of
from appliance.cli.exits import FINE, USAGE, CliError
from appliance.cli.wishes import WRITE_WAIT_S, add_giving_options, give, wait_for
from appliance.config import UnitConfig
from appliance.domain import display, sentences
from appliance.domain.snapshot import StudyRow, StudyState
from appliance.domain.values import LocalState
from appliance.store.connect import Store, open_unit
from appliance.store.snapshot import search_studies

PAGE_STUDY_COUNT = 200


@dataclass(frozen=True, slots=True)
class StudyVerdict:
    """Whether a study's pixels may leave this unit, and every reason against it."""

    study_instance_uid: str
    patient_name: str
    allowed: bool
    reasons: tuple[str, ...]
    size_bytes: int
    """Of the pixels that are on this unit now."""


def add(subparsers: Subparsers) -> None:
    """Register the ``evict`` command."""
    parser = subparsers.add_parser(
        "evict", help="make room: which studies' pixels may leave this unit, and why not", description=__doc__
    )
    parser.add_argument("uid", nargs="*", metavar="UID", help="these studies (the beginning or end of a UID is enough)")
    parser.add_argument("--all", action="store_true", help="every study that is complete at the centre")
    parser.add_argument("--dry-run", action="store_true", help="only explain; without UID, every study of this unit")
    add_giving_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.dry_run:
        return _explain(arguments)
    if not arguments.uid and not arguments.all:
        raise CliError(
            "Which studies? Give UIDs, or --all for every study that is complete at the centre. Nothing was removed; "
            "'qafila evict --dry-run' explains every study.",
            USAGE,
            "no-study-given",
        )
    return _ask(arguments)


def _explain(arguments: argparse.Namespace) -> int:
    config = config_of(arguments)
    with reader_of(arguments) as reader:
        wanted = {find_study(reader.unit_db, part) for part in arguments.uid}
        rows = [row for row in _every_study(reader.unit_db) if not wanted or row.study_instance_uid in wanted]
        verdicts = [_verdict(config, reader.unit_db, row) for row in rows]
    free_bytes = sum(verdict.size_bytes for verdict in verdicts if verdict.allowed)
    if arguments.json:
        print_json({"studies": [asdict(verdict) for verdict in verdicts], "evictable_bytes": free_bytes})
        return FINE
    for verdict in verdicts:
        word = "may go " if verdict.allowed else "stays  "
        name = display.person_name(verdict.patient_name)
        print(f"{word} {sentences.size(verdict.size_bytes):>8}  {name}  {verdict.study_instance_uid}")
        for reason in verdict.reasons:
            print(f"         {reason}")
    print(f"{sentences.size(free_bytes)} may leave this unit. Nothing was removed.")
    return FINE


def _ask(arguments: argparse.Namespace) -> int:
    with open_unit(config_of(arguments).unit_db, wait_s=WRITE_WAIT_S, clock=CLOCK) as db:
        uids = [find_study(db, part) for part in arguments.uid]
        if arguments.all:
            uids += [row.study_instance_uid for row in _every_study(db) if _worth_asking(row)]
        given = [give(db, "evict", uid, arguments.reason) for uid in dict.fromkeys(uids)]
        if arguments.wait:
            given = [wait_for(db, command) for command in given]
    if arguments.json:
        print_json({"commands": given})
        return FINE
    for command in given:
        answer = command.outcome or "noted; sync asks the centre once more before anything is removed."
        print(f"{command.study_instance_uid}: {answer}")
    if not given:
        print("No study here is complete at the centre; nothing may be removed.")
    return FINE


def _worth_asking(row: StudyRow) -> bool:
    return row.state is StudyState.COMPLETE and row.on_disk_count > 0


def _every_study(db: Store) -> list[StudyRow]:
    rows: list[StudyRow] = []
    before: int | None = None
    while True:
        page, before = search_studies(db, before_instance_id=before, limit=PAGE_STUDY_COUNT)
        rows += page
        if before is None:
            return rows


def _verdict(config: UnitConfig, db: Store, row: StudyRow) -> StudyVerdict:
    """The purge rule over every image; imported here, for only this command needs the sync side."""
    from appliance.store.retention import retained_instances
    from sync.eviction import clock_is_trusted, policy_of, verdict_of

    here = [one for one in retained_instances(db, row.study_instance_uid) if one.local_state is not LocalState.EVICTED]
    reasons: list[str] = [] if here else ["Its pixels have left this unit already."]
    for instance in here:
        verdict = verdict_of(instance, CLOCK.wall_s(), clock_is_trusted(db), policy_of(config))
        reasons += verdict.reasons
    return StudyVerdict(
        study_instance_uid=row.study_instance_uid,
        patient_name=row.patient_name,
        allowed=not reasons,
        reasons=tuple(dict.fromkeys(reasons)),
        size_bytes=sum(one.size_bytes for one in here),
    )
