"""Takes a reading of the centre's inbox in: answers, what follows from them, and the cursor, in one transaction.

What cannot be understood is kept as it came and said to be so; it never holds up what comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.answers import ordering
from appliance.config import UnitConfig
from appliance.logging import log
from appliance.store import answers
from appliance.store.answers import NewAnswer
from appliance.store.commands import give_command
from appliance.store.connect import Store, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.stamp import Stamp
from sync.wire.answers import BODY_CHARS_MAX, Answer, PlacedOrder, PriorityRaise, Report, read_answer
from sync.wire.messages import InboxEntry, InboxKind

NOT_FOR_PEOPLE = frozenset({InboxKind.RECEIPT.value, InboxKind.REFUSAL.value})
KIND_CHARS_MAX = 32
UNREADABLE = "This unit's release does not understand it; it is kept as it came."
NO_STUDY = "This study is not on the unit."
URGENT = "The study is sent first from now on."


def take_in(
    db: Store,
    stamp: Stamp,
    config: UnitConfig,
    destination: str,
    unit_id: str,
    epoch: str,
    entries: Sequence[InboxEntry],
    up_to: int,
) -> int:
    """Keep what was read, and note that everything up to ``up_to`` was; how many answers are new.

    Args:
        db: The unit's database.
        stamp: Now.
        config: Whose words and catalogue registrations are made with.
        destination: The centre.
        unit_id: This unit's identity there.
        epoch: The life of the centre that numbered them.
        entries: As they came, in order; receipts among them are not for here.
        up_to: The number that the next reading goes on after.

    Raises:
        StoreError: Nothing was kept, and the cursor stands where it was.
    """
    new_count = 0
    with write(db):
        for entry in entries:
            if entry.kind not in NOT_FOR_PEOPLE:
                new_count += _take(db, stamp, config, destination, unit_id, entry)
        answers.move_cursor(db, destination, unit_id, epoch, up_to)
    return new_count


def _take(db: Store, stamp: Stamp, config: UnitConfig, destination: str, unit_id: str, entry: InboxEntry) -> bool:
    said: Answer | None = None
    try:
        said = read_answer(entry.kind, entry.body)
    except ValueError as error:
        # The library names places, never values.
        log("answers", "not understood", kind=entry.kind[:KIND_CHARS_MAX], seq=entry.seq, why=type(error).__name__)
    new = _described(unit_id, entry, said)
    if not answers.keep_answer(db, stamp, destination, unit_id, new):
        return False
    if said is None:
        answers.note_outcome(db, new.answer_id, UNREADABLE)
    elif isinstance(said, PriorityRaise):
        answers.note_outcome(db, new.answer_id, _raise(db, stamp, said))
    elif isinstance(said, PlacedOrder):
        done = ordering.register(db, stamp, config, said)
        answers.note_outcome(db, new.answer_id, done.outcome, done.registration_key)
    return True


def _described(unit_id: str, entry: InboxEntry, said: Answer | None) -> NewAnswer:
    """What lists need; an entry without a readable body is known by its place in the inbox."""
    kind, body = entry.kind[:KIND_CHARS_MAX], entry.body[:BODY_CHARS_MAX]
    if said is None:
        number = f"{entry.seq}.{unit_id}"
        return NewAnswer(
            answer_id=number, seq=entry.seq, kind=kind, body=body, study_instance_uid=entry.study_instance_uid[:64]
        )
    subject = said.report_id if isinstance(said, Report) else said.order_id if isinstance(said, PlacedOrder) else ""
    return NewAnswer(
        answer_id=said.answer_id,
        seq=entry.seq,
        kind=kind,
        body=body,
        study_instance_uid="" if isinstance(said, PlacedOrder) else said.study_instance_uid,
        subject_id=subject,
        version=said.version if isinstance(said, Report) else 0,
        is_critical=isinstance(said, Report) and said.is_critical,
        urgency="" if isinstance(said, Report | PriorityRaise | PlacedOrder) else said.urgency.value,
    )


def _raise(db: Store, stamp: Stamp, said: PriorityRaise) -> str:
    """Through the command table, as a person at the unit would: the core is the one place that changes a state."""
    try:
        give_command(db, stamp, "stat", said.study_instance_uid, f"centre:{said.author}", said.reason)
    except StoreError as error:
        if error.kind is not StoreFault.REFUSED:
            raise
        return NO_STUDY
    return URGENT
