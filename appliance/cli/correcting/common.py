"""What these commands share: who and why, the unit's desk, and how an answer is said."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from appliance.cli.common import CLOCK, add_options, config_of, print_json
from appliance.cli.exits import FINE, NEEDS_PERSON, NOT_FOUND, USAGE, CliError
from appliance.cli.wishes import WRITE_WAIT_S, actor
from appliance.corrections.actions import Actions, Done
from appliance.corrections.door import bring_through_the_door
from appliance.corrections.problems import ActionRefused
from appliance.dicom.reviser import Reviser
from appliance.dicom.wanted import CORRECTABLE
from appliance.domain.sentences import counted
from appliance.store.connect import open_unit
from appliance.store.rejections import MadeObject, made_objects
from appliance.stored import revision_dir


def add_who_and_why(parser: argparse.ArgumentParser, *, reason_required: bool = True) -> None:
    """Reason and actor, both kept in the history, and the options of every command."""
    parser.add_argument("--reason", required=reason_required, default="", help="why; kept in the history")
    parser.add_argument("--actor", default="", help="who decided it (default: who is logged in)")
    add_options(parser)


@contextmanager
def at_desk(arguments: argparse.Namespace) -> Iterator[tuple[Actions, str]]:
    """The unit's actions, and who acts; what is refused becomes a sentence with its exit code.

    Raises:
        CliError: If the action was refused.
    """
    config = config_of(arguments)
    with open_unit(config.unit_db, wait_s=WRITE_WAIT_S, clock=CLOCK) as db, Reviser(revision_dir(config)) as reviser:
        try:
            yield Actions(config, db, reviser), arguments.actor or actor()
        except ActionRefused as refused:
            is_missing = refused.code.startswith(("no-such-", "ambiguous-"))
            raise CliError(refused.sentence, NOT_FOUND if is_missing else NEEDS_PERSON, refused.code) from refused


def said(arguments: argparse.Namespace, actions: Actions, done: Sequence[Done]) -> int:
    """Bring what was made through the door, and say what was done."""
    bring_through_the_door(actions.config, actions.db)
    made = [one for each in done for one in made_objects(actions.db, each.action_id)]
    if arguments.json:
        print_json({"actions": done, "made": made})
        return FINE
    if not done:
        print("Done. No study on this unit was concerned.")
    for each in done:
        print(f"{_sentence(each, made)} Action {each.action_id}; 'qafila undo {each.action_id}' takes it back.")
    return FINE


def _sentence(done: Done, made: Sequence[MadeObject]) -> str:
    images = counted(done.image_count, "picture", "pictures")
    if done.kind == "reject":
        text = f"{images} rejected: kept here, not shown, not sent."
    elif done.kind == "split":
        text = f"{images} split off to its own patient."
    else:
        same_count = done.image_count - done.revised_count
        text = f"{images}: {done.revised_count} corrected"
        text += f", {same_count} said it already." if same_count else "."
    waiting = sum(not one.stored_at for one in made if one.action_id == done.action_id)
    return text + (f" {counted(waiting, 'object waits', 'objects wait')} for the unit to run." if waiting else "")


def as_values(texts: Sequence[str]) -> dict[str, str]:
    """``Keyword=value`` as typed.

    Raises:
        CliError: If one has another form or is no attribute that is corrected here.
    """
    values: dict[str, str] = {}
    for text in texts:
        keyword, equals, value = text.partition("=")
        if not equals or keyword not in CORRECTABLE:
            known = ", ".join(CORRECTABLE)
            raise CliError(f"{text!r} corrects nothing. Write Keyword=value; there are {known}.", USAGE, "usage")
        values[keyword] = value
    return values
