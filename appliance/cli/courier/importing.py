"""``qafila courier import``: the centre's receipts from a stick, checked here, carried out by the sync process."""

from __future__ import annotations

import argparse
import threading
from dataclasses import dataclass, field

from appliance.cli.common import CLOCK, config_of, print_json
from appliance.cli.courier.unit_side import Party, as_cli_error, party_of
from appliance.cli.exits import ENVIRONMENT, FINE, NEEDS_PERSON, NOT_FOUND, TIMED_OUT, CliError
from appliance.cli.wishes import LOOK_S, WAIT_S, WRITE_WAIT_S
from appliance.domain.sentences import counted, studies
from appliance.domain.values import ItemState, Receipt
from appliance.store.connect import Store, open_unit
from appliance.store.courier import (
    count_open_brought,
    is_damaged_here,
    item_of,
    newest_proof,
    note_brought,
    revoked_proof_at,
)
from sync.adapters.gateway.receipts import FalseReceiptError, evidence_of, genuine
from sync.courier.errors import FormatError, StickError
from sync.courier.limits import CourierLimits
from sync.courier.messages import FOLDER, REPLY_NAME, Reply
from sync.courier.reply import read_reply
from sync.courier.sentences import UNTOUCHED
from sync.courier.stick import Folder
from sync.wire.messages import InboxEntry, InboxKind


@dataclass(slots=True)
class Brought:
    """What a stick brought back."""

    new_count: int = 0
    study_uids: set[str] = field(default_factory=set)
    old_count: int = 0
    """The centre has said otherwise since; they prove nothing any more."""
    set_aside_count: int = 0
    """For images that a person must decide about."""
    known_count: int = 0
    """Receipts for what has one already."""
    strange_count: int = 0
    """Not for this unit, not by its centre, or about bytes that are not here."""
    refusals: list[str] = field(default_factory=list)


def run(arguments: argparse.Namespace) -> int:
    """Take in the receipts and say what they are about."""
    config = config_of(arguments)
    party = party_of(config, arguments.to)
    reply = _read(arguments, party)
    brought = Brought()
    with open_unit(config.unit_db, wait_s=WRITE_WAIT_S, clock=CLOCK) as db:
        newest = newest_proof(db, party.destination.name)
        for entry in reply.inbox.entries:
            take(db, party, entry, f"stick {reply.stick}", newest, brought)
        if arguments.wait:
            _wait(db)
    if arguments.json:
        print_json({"stick": reply.stick, "waiting_count": reply.waiting_count, "brought": brought})
    else:
        print(_told(brought, reply))
    needs_person = brought.refusals or brought.strange_count or brought.set_aside_count
    return NEEDS_PERSON if needs_person else FINE


def _read(arguments: argparse.Namespace, party: Party) -> Reply:
    limits = CourierLimits()
    try:
        with Folder.open(arguments.path) as root, root.enter(FOLDER) as top, top.enter(party.keys.unit_id) as folder:
            sealed = folder.read(REPLY_NAME, limits.reply_bytes_max)
        return read_reply(sealed, party.keys.reply_secret, party.centre_key, party.keys.unit_id, limits)
    except FileNotFoundError as error:
        raise CliError(
            f"There is no answer of the centre for this unit on {arguments.path}. Nothing was changed. Either the "
            "stick was not at the centre yet, or it could not be written there.",
            NOT_FOUND,
            "no-answer",
        ) from error
    except StickError as error:
        raise as_cli_error(error) from error
    except FormatError as error:
        raise CliError(
            f"The centre's answer on the stick was refused: {error}. {UNTOUCHED} The receipts come by link as well.",
            ENVIRONMENT,
            "answer-refused",
        ) from error


def take(db: Store, party: Party, entry: InboxEntry, source: str, newest: tuple[str, str], brought: Brought) -> None:
    """One entry of the inbox: a good receipt is written down for the sync process.

    Args:
        db: The unit's database.
        party: The gateway, and who this unit is to it.
        entry: Signed as a whole with the others; its receipt is signed by itself.
        source: Where it came from, for the history.
        newest: As ``newest_proof``: an old stick must not bring back what a restored centre has lost.
        brought: What came of it.
    """
    item = item_of(db, party.destination.name, entry.sop_instance_uid)
    if entry.kind == InboxKind.REFUSAL:
        if item is not None and item.sha256 == entry.sha256 and item.state is not ItemState.CONFIRMED:
            brought.refusals.append(entry.text)
        return
    if entry.kind != InboxKind.RECEIPT or entry.receipt is None:
        return
    try:
        receipt = genuine(entry.receipt, party.centre_key, party.keys.unit_id)
    except FalseReceiptError:
        brought.strange_count += 1
        return
    if receipt.sop_instance_uid != entry.sop_instance_uid or item is None or item.sha256 != receipt.sha256:
        brought.strange_count += 1
        return
    if item.state is ItemState.CONFIRMED:
        brought.known_count += 1
        return
    epoch, newest_at = newest
    is_outlived = receipt.epoch != epoch and receipt.verified_at < newest_at
    if is_outlived or receipt.verified_at <= revoked_proof_at(db, item.item_id):
        brought.old_count += 1
        return
    if item.state is ItemState.REJECTED and not is_damaged_here(db, item.item_id):
        brought.set_aside_count += 1
        return
    proof = Receipt(item.destination, item.sop_instance_uid, item.sha256, evidence_of(receipt, entry.receipt))
    if note_brought(db, db.stamp(), item.item_id, proof, source):
        brought.new_count += 1
        brought.study_uids.add(item.study_instance_uid)
    else:
        brought.known_count += 1


def _wait(db: Store) -> None:
    """Until the sync process has taken them over.

    Raises:
        CliError: It did not in time; they stay noted.
    """
    deadline_mono_s, pause = CLOCK.mono_s() + WAIT_S, threading.Event()
    while count_open_brought(db):
        if CLOCK.mono_s() >= deadline_mono_s:
            raise CliError(
                f"The receipts are noted but were not taken over within {WAIT_S:.0f} s; the sync process may not be "
                "running. Nothing is lost: it takes them over when it runs again. 'qafila doctor' says what is wrong.",
                TIMED_OUT,
                "not-carried-out-yet",
            )
        pause.wait(LOOK_S)


def _told(brought: Brought, reply: Reply) -> str:
    images = counted(brought.new_count, "image", "images")
    told = [
        f"Receipts for {images} of {studies(len(brought.study_uids))}: the centre has them, verified."
        if brought.new_count
        else "No receipt that this unit did not have yet."
    ]
    if reply.waiting_count:
        told.append(f"The centre still works on {counted(reply.waiting_count, 'image', 'images')} of this unit.")
    if brought.old_count:
        receipts = counted(brought.old_count, "receipt is", "receipts are")
        told.append(f"{receipts} older than what the centre said since; not used.")
    if brought.set_aside_count:
        images = counted(brought.set_aside_count, "image is", "images are")
        told.append(f"{images} set aside here: retry the study ('qafila retry') and import the stick again.")
    if brought.strange_count:
        told.append(f"{counted(brought.strange_count, 'receipt is', 'receipts are')} not for what is here; not used.")
    told += [f"! {sentence}" for sentence in dict.fromkeys(brought.refusals)]
    return "\n".join(told)
