"""``qafila reports`` and ``qafila report ID``: what the centre said, and telling it who has seen that.

Reports, retake requests, messages, raised priorities and orders are one list: what nobody acknowledged comes first, a
critical result before everything.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from appliance.cli.common import CLOCK, Subparsers, add_options, config_of, find_study, print_json, zone_now
from appliance.cli.exits import FINE, NEEDS_PERSON, NOT_FOUND, USAGE, CliError
from appliance.cli.wishes import WRITE_WAIT_S
from appliance.domain import display, sentences
from appliance.domain.answers import KINDS, MESSAGE, ORDER, PRIORITY, REPORT, RETAKE, UnitAnswer, Weight
from appliance.store.answers import acknowledge, answers_named, list_answers
from appliance.store.connect import Store, open_reader, open_unit

ROW_COUNT = 200
ID_CHARS = 12
"""Of a number in a list; the beginning of it is enough."""
WORDS = {
    REPORT: "report",
    RETAKE: "retake request",
    MESSAGE: "message",
    PRIORITY: "priority raised",
    ORDER: "order",
}
MARKS = {Weight.CRITICAL: "▲ CRITICAL", Weight.URGENT: "▲ NOW", Weight.PLAIN: "●"}
PARTS = ("title", "findings", "impression", "changed", "reason", "text")


def add(subparsers: Subparsers) -> None:
    """Register the ``reports`` command."""
    parser = subparsers.add_parser("reports", help="what the centre said, new first", description=__doc__)
    parser.add_argument("kind", nargs="?", default="all", choices=("all", *KINDS), help="default: all")
    parser.add_argument("--new", action="store_true", help="only what nobody acknowledged")
    parser.add_argument("--study", default="", metavar="UID", help="only about this study")
    parser.add_argument("--limit", type=int, default=ROW_COUNT, help=f"at most so many (default {ROW_COUNT})")
    add_options(parser)
    parser.set_defaults(handler=_list)


def add_one(subparsers: Subparsers) -> None:
    """Register the ``report`` command."""
    parser = subparsers.add_parser(
        "report", help="one report, retake request, message or order; say who has seen it", description=__doc__
    )
    parser.add_argument("answer", metavar="ID", help="its number, or the beginning of it")
    parser.add_argument("--seen", action="store_true", help="acknowledge it; the centre is told by whom and when")
    parser.add_argument("--by", default="", metavar="NAME", help="who has seen it")
    add_options(parser)
    parser.set_defaults(handler=_one)


def _list(arguments: argparse.Namespace) -> int:
    kinds = () if arguments.kind == "all" else (arguments.kind,)
    with open_reader(config_of(arguments).unit_db, clock=CLOCK) as db:
        study_uid = find_study(db, arguments.study) if arguments.study else ""
        found = list_answers(
            db, kinds=kinds, study_instance_uid=study_uid, new_only=arguments.new, limit=max(arguments.limit, 1)
        )
    if arguments.json:
        print_json({"answers": [shown(one) for one in found]})
    else:
        for one in found:
            print(line(one))
        if not found:
            print("Nothing new from the centre." if arguments.new else "Nothing from the centre yet.")
    waits = any(one.is_new and one.weight is not Weight.PLAIN for one in found)
    return NEEDS_PERSON if waits else FINE


def _one(arguments: argparse.Namespace) -> int:
    if arguments.seen != bool(arguments.by.strip()):
        raise CliError(
            "To acknowledge, say who has seen it: qafila report ID --seen --by NAME. Nothing was changed.",
            USAGE,
            "who-has-seen-it",
        )
    config = config_of(arguments)
    if arguments.seen:
        with open_unit(config.unit_db, wait_s=WRITE_WAIT_S, clock=CLOCK) as db:
            acknowledge(db, db.stamp(), find_answer(db, arguments.answer).answer_id, arguments.by)
    with open_reader(config.unit_db, clock=CLOCK) as db:
        found = find_answer(db, arguments.answer)
    if arguments.json:
        print_json({"answer": shown(found)})
        return FINE
    print(line(found))
    for part in PARTS:
        if text := found.text(part):
            print(f"\n{part.capitalize()}\n{prose(text)}")
    if found.outcome:
        print(f"\n{found.outcome}")
    return FINE


def find_answer(db: Store, typed: str) -> UnitAnswer:
    """The one that is meant; of a report given by its own number, the newest version.

    Raises:
        CliError: None or several are.
    """
    found = answers_named(db, typed.strip())
    exact = [one for one in found if typed.strip() in (one.answer_id, one.subject_id)]
    if exact or len(found) == 1:
        return (exact or found)[0]
    if found:
        raise CliError("That means several. Nothing was changed. Give more of the number.", NOT_FOUND, "ambiguous")
    raise CliError(
        f"There is nothing with the number {display.safe_text(typed)!r} on this unit. Nothing was changed. "
        "'qafila reports' lists what the centre said.",
        NOT_FOUND,
        "no-such-answer",
    )


def line(one: UnitAnswer) -> str:
    """One line of the list."""
    now_s, zone = CLOCK.wall_s(), zone_now()
    new = "new" if one.is_new else f"seen by {display.safe_text(one.seen_by)}"
    words = [
        one.answer_id[:ID_CHARS],
        sentences.clock_time(one.received_at, zone, now_s),
        MARKS[one.weight] if one.is_new else "✓",
        WORDS.get(one.kind, display.safe_text(one.kind)),
        display.safe_text(one.text("status")) if one.kind == REPORT else "",
        "(replaced by a later version)" if one.is_superseded else "",
        display.person_name(one.patient_name) or "",
        display.safe_text(one.patient_id),
        f"from {display.safe_text(one.text('author'))}" if one.text("author") else "",
        f"- {new}",
    ]
    return "  ".join(word for word in words if word)


def prose(text: str) -> str:
    """Several lines, each without what a terminal would obey."""
    return "\n".join(display.safe_text(each) for each in text.splitlines())


def shown(one: UnitAnswer) -> dict[str, object]:
    """As JSON: the fields, and what was said instead of its text."""
    fields = asdict(one)
    del fields["body"]
    return fields | {"is_new": one.is_new, "weight": one.weight.value, "said": dict(one.said)}
