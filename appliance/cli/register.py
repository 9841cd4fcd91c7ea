"""``qafila register``: a person and an exam in one call; it needs the database alone, no running unit.

Somebody who may be known already is shown and refused, until whoever types says which it is. Nothing is written then.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from appliance.cli.common import CLOCK, Subparsers, add_options, config_of, print_json, zone_now
from appliance.cli.exits import FINE, NEEDS_PERSON, NOT_FOUND, USAGE, CliError
from appliance.cli.register_entry import NOTHING, details_of, entered_about_person, identifiers_of, order_of
from appliance.cli.wishes import WRITE_WAIT_S, actor
from appliance.config import UnitConfig
from appliance.domain import display
from appliance.domain.registration import Patient
from appliance.registration import entering
from appliance.registration.catalogue import Catalogue, load_catalogue
from appliance.registration.duplicates import REASON_WORDS, Likeness
from appliance.registration.identifiers import as_typed
from appliance.store.connect import Store, open_reader, open_unit, write
from appliance.store.patients import search_patients
from appliance.store.registrations import registration_row

FOUND_COUNT_MAX = 50
SHOWN_COUNT_MAX = 5


def add(subparsers: Subparsers) -> None:
    """Register the ``register`` command."""
    parser = subparsers.add_parser(
        "register",
        help="register a person and an exam",
        description=__doc__,
        epilog="Digits may be typed in any script. Words that begin with - need the form --reason=-TEXT.",
    )
    person = parser.add_argument_group("the person")
    person.add_argument("--family", default="", help="family name, Latin letters")
    person.add_argument("--given", default="", help="given name, Latin letters")
    person.add_argument("--family-ar", default="", help="family name, Arabic letters")
    person.add_argument("--given-ar", default="", help="given name, Arabic letters")
    person.add_argument("--accept-latin", action="store_true", help="take the Latin spelling that was proposed")
    person.add_argument("--sex", default="", type=str.upper, choices=("F", "M", "O"), metavar="F|M|O")
    person.add_argument("--birth-date", default="", metavar="DATE", help="year, month, day: 1984-03-12")
    person.add_argument("--age", default="", help="where no birth date is known: 45, or 8M, 3W, 10D")
    person.add_argument("--weight", default="", metavar="KG", help="kilograms")
    person.add_argument("--national-id", default="", metavar="ID", help="[registration] national_issuer issues it")
    person.add_argument(
        "--identifier", action="append", default=[], metavar="ISSUER=ID", help="another number; may be repeated"
    )
    known = parser.add_argument_group("known already?")
    known.add_argument("--patient", default="", metavar="ID", help="an exam for this known person (any of their IDs)")
    known.add_argument("--new-person", action="store_true", help="it is nobody of those that are shown")
    known.add_argument("--find", default="", metavar="TEXT", help="list known people by words of name or number")
    exam = parser.add_argument_group("the exam")
    exam.add_argument("--exam", default="", metavar="CODE", help="from the catalogue, see --exams")
    exam.add_argument("--exams", action="store_true", help="list the catalogue")
    exam.add_argument("--side", default="", type=str.upper, choices=("L", "R", "B"), metavar="L|R|B")
    exam.add_argument("--pregnancy", default="", choices=("no", "possible", "yes", "unknown"), help="the answer given")
    exam.add_argument("--referrer", default="", metavar="WHO", help="who asks for it")
    exam.add_argument("--reason", default="", metavar="WHY", help="what is to be found out")
    exam.add_argument("--stat", action="store_true", help="urgent")
    exam.add_argument("--station", default="", metavar="AE", help="only on this device (default: any of its kind)")
    exam.add_argument("--modality", default="", help="as the device calls itself, where the catalogue says otherwise")
    exam.add_argument("--at", default="", metavar="TIME", help="09:30 or 2026-11-22 09:30 (default: now)")
    parser.add_argument("--emergency", action="store_true", help="urgent; everything else may be missing")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    config = config_of(arguments)
    if arguments.find:
        return _find(arguments, config)
    catalogue = load_catalogue(config.registration.catalogue)
    if arguments.exams:
        return _exams(arguments, catalogue, config.registration.language)
    return _register(arguments, config, catalogue)


def _register(arguments: argparse.Namespace, config: UnitConfig, catalogue: Catalogue) -> int:
    """Entered, checked, compared and written in one transaction, so that two desks never register one person twice."""
    from appliance.registration import desk

    if arguments.patient and (given := entered_about_person(arguments)):
        raise CliError(
            f"With --patient the person is known, so {given} says nothing here; 'qafila correct' changes a record. "
            + NOTHING,
            USAGE,
            "person-is-known",
        )
    now = datetime.fromtimestamp(CLOCK.wall_s(), zone_now())
    order = order_of(arguments, config, catalogue, now)
    weight_kg = _checked_weight(arguments)
    unit = desk.unit_words(config)
    with open_unit(config.unit_db, wait_s=WRITE_WAIT_S, clock=CLOCK) as db, write(db):
        stamp = db.stamp()
        alike: tuple[Likeness, ...] = ()
        if arguments.patient:
            patient = _known_person(db, arguments.patient)
            _ask_pregnancy(arguments, entering.pregnancy_is_open(patient.details, order, now.date()))
            if weight_kg:
                details = replace(patient.details, weight_kg=weight_kg)
                desk.change_person(db, stamp, unit, patient.patient_key, details, actor(), "weighed")
            done = desk.register_exam(db, stamp, unit, patient.patient_key, order, actor())
        else:
            details = details_of(arguments, now.date(), weight_kg)
            identifiers = identifiers_of(arguments, config)
            _ask_pregnancy(arguments, entering.pregnancy_is_open(details, order, now.date()))
            alike = desk.possible_duplicates(db, stamp, details, identifiers)
            if alike and not arguments.new_person and not arguments.emergency:
                return _refuse(arguments, alike)
            done = desk.register_person(db, stamp, unit, details, identifiers, order, actor())
        row = registration_row(db, done.registration.registration_key)
    exam = catalogue.by_code[order.exam_code]
    told = catalogue.preparation.get(exam.preparation)
    if arguments.json:
        print_json(
            {
                "registration": row,
                "patient_unit_id": done.patient.unit_id,
                "preparation": told,
                "price": exam.price,
                "duplicates": [_fact(one) for one in alike],
            }
        )
        return FINE
    name = display.person_name(row.patient_name) if row else ""
    print(f"Registered: {name}, ID {done.patient_id}.")
    print(f"{order.description}, {order.modality}, accession number {done.registration.accession_number}.")
    if told:
        print(f"Tell the patient: {getattr(told, config.registration.language)}")
    for one in alike[:SHOWN_COUNT_MAX]:
        print(f"May be known already: {_line(one)}")
    return FINE


def _checked_weight(arguments: argparse.Namespace) -> float:
    try:
        return entering.weight_kg(arguments.weight)
    except entering.EntryRefusedError as error:
        raise CliError(f"{error}. {NOTHING}", USAGE, "entry-refused") from error


def _ask_pregnancy(arguments: argparse.Namespace, is_open: bool) -> None:
    if is_open and not arguments.emergency:
        raise CliError(
            "The pregnancy question was not answered, and this exam uses X-rays. "
            f"{NOTHING} Ask, and add --pregnancy no, possible, yes or unknown.",
            USAGE,
            "pregnancy-not-answered",
        )


def _known_person(db: Store, typed: str) -> Patient:
    from appliance.registration import desk

    found = desk.find_person(db, typed) or desk.find_person(db, as_typed(typed))
    if len(found) == 1:
        return found[0]
    shown = display.safe_text(typed)
    if not found:
        raise CliError(
            f"Nobody on this unit goes by {shown!r}. {NOTHING} 'qafila register --find TEXT' lists who is known.",
            NOT_FOUND,
            "no-such-patient",
        )
    several = ", ".join(one.unit_id for one in found)
    raise CliError(f"{shown!r} means several people: {several}. {NOTHING} Give one of these.", NOT_FOUND, "ambiguous")


def _refuse(arguments: argparse.Namespace, alike: tuple[Likeness, ...]) -> int:
    """Shown with the reasons; exit code 1, for somebody has to look."""
    first = alike[0].patient.unit_id
    sentence = (
        f"This may be somebody who is known already. {NOTHING} If it is, repeat it with --patient {first} (or another "
        "ID of the list) instead of the person's details; if it is nobody of the list, add --new-person."
    )
    if arguments.json:
        facts = [_fact(one) for one in alike]
        print_json({"error": sentence, "code": "possible-duplicate", "exit_code": NEEDS_PERSON, "duplicates": facts})
        return NEEDS_PERSON
    print(sentence)
    for one in alike[:SHOWN_COUNT_MAX]:
        print(f"  {_line(one)}")
    if len(alike) > SHOWN_COUNT_MAX:
        print(f"  and {len(alike) - SHOWN_COUNT_MAX} more")
    return NEEDS_PERSON


def _find(arguments: argparse.Namespace, config: UnitConfig) -> int:
    with open_reader(config.unit_db, clock=CLOCK) as db:
        found = search_patients(db, arguments.find, FOUND_COUNT_MAX)
    if arguments.json:
        print_json({"patients": [_person_fact(one) for one in found]})
        return FINE
    for patient in found:
        print(_person_line(patient))
    if not found:
        print("Nobody like that is known on this unit.")
    return FINE


def _exams(arguments: argparse.Namespace, catalogue: Catalogue, language: str) -> int:
    if arguments.json:
        print_json({"exams": catalogue.exam, "preparation": catalogue.preparation})
        return FINE
    for exam in catalogue.exam:
        side = "side" if exam.paired else ""
        views = " ".join(exam.views)
        print(f"{exam.code:<16} {exam.modality:<3} {side:<5} {getattr(exam.name, language):<48} {views}".rstrip())
    return FINE


def _fact(one: Likeness) -> dict[str, Any]:
    return {**_person_fact(one.patient), "score": one.score, "reasons": one.reasons}


def _person_fact(patient: Patient) -> dict[str, Any]:
    return {
        "patient_key": patient.patient_key,
        "patient_unit_id": patient.unit_id,
        **{f"patient_{key}": value for key, value in asdict(patient.details.name).items()},
        "patient_sex": patient.details.sex,
        "patient_birth_date": patient.details.birth_date,
        "patient_age": patient.details.age_text,
        "patient_identifiers": patient.identifiers,
        "is_emergency": patient.details.is_emergency,
        "registered_at": patient.registered_at,
    }


def _line(one: Likeness) -> str:
    return f"{_person_line(one.patient)} - {', '.join(REASON_WORDS[reason] for reason in one.reasons)}"


def _person_line(patient: Patient) -> str:
    details = patient.details
    name = ", ".join(part for part in (details.name.family_latin, details.name.given_latin) if part)
    born = details.birth_date
    when = f"born {born[:4]}-{born[4:6]}-{born[6:]}" if born else f"age {details.age_text or 'unknown'}"
    others = " ".join(one.value for one in patient.identifiers if one.value != patient.unit_id)
    return f"{patient.unit_id}  {display.safe_text(name)}  {details.sex or '?'}  {when}  {others}".rstrip()
