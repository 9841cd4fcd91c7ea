"""``qafila courier export``: owed images from the store, through the encoder, onto the stick, and the note of it."""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from appliance.cli.common import CLOCK, config_of, find_study, print_json
from appliance.cli.courier.unit_side import Party, as_cli_error, party_of
from appliance.cli.exits import ENVIRONMENT, FINE, INTERRUPTED, NEEDS_PERSON, NOT_FOUND, USAGE, CliError
from appliance.cli.wishes import WRITE_WAIT_S, actor
from appliance.config import UnitConfig
from appliance.domain.limits import MIB
from appliance.domain.sentences import counted
from appliance.domain.values import OutboxItem, Priority
from appliance.store.connect import Store, open_unit
from appliance.store.courier import (
    carried_item_ids,
    copies_on,
    forget_copies,
    left_behind_count,
    note_copies,
    owed_items,
)
from appliance.store.instances import instances_of_items
from appliance.store.notes import study_facts
from appliance.store.revisions import earlier_digests
from appliance.store.studies import known_studies
from appliance.stored import stored_path
from sync.adapters.base import SendItem
from sync.courier.borrowing import BorrowingEncoder
from sync.courier.errors import FormatError, StickError
from sync.courier.export import Ending, Order, Outcome, Phase, Progress, Tools, export
from sync.courier.limits import CourierLimits
from sync.courier.mounts import MountError, mount_of, remount
from sync.courier.sealing import recipient_of_text
from sync.courier.sentences import UNTOUCHED, WAIT, ending, progress
from sync.courier.unit_folder import UnitFolder, stick_at
from sync.encoder.entry import spool_folder
from sync.encoder.service import EncoderService
from sync.noting import study_notes
from sync.wire.effort import FAST
from sync.wire.headers import pack

STICK_RATE_BYTES_PER_S = 8_000_000
"""What a common stick writes: the encoder then packs for speed and not for the last per cent."""
OWN_SPOOL_NAME = "courier-spool"
OWN_SPOOL_BYTES_MAX = 512 * MIB
PAGE_ITEM_COUNT = 500
SAY_S = 0.25
"""Between two lines of progress on a screen; elsewhere one line each tenth."""

_EXIT_CODES = {
    Ending.DONE: FINE,
    Ending.FULL: NEEDS_PERSON,
    Ending.STOPPED: INTERRUPTED,
    Ending.LIES: ENVIRONMENT,
}


def run(arguments: argparse.Namespace) -> int:
    """Export and say whether the stick can be removed."""
    config = config_of(arguments)
    party = party_of(config, arguments.to)
    recovery = arguments.recovery_recipient or party.destination.courier_recovery_recipient
    recipients = _recipients(party, recovery)
    limits = CourierLimits()
    _check_place(config, arguments.path, any_folder=arguments.any_folder)
    try:
        with open_unit(config.unit_db, wait_s=WRITE_WAIT_S, clock=CLOCK) as db:
            order = _order(db, config, party, arguments, recipients, limits)
            behind = left_behind_count(db, party.destination.name)
            if not order.items:
                return _nothing_to_do(arguments, behind)
            with _interruptible() as stop, _encoder(config, order.items) as encoder:
                say = Teller(quiet=arguments.json, as_json=arguments.progress)
                tools = Tools(
                    keys=party.keys,
                    encoder=encoder,
                    pack_headers=lambda skeletons: pack(skeletons, FAST),
                    limits=limits,
                    on_progress=say,
                    cancelled=stop.is_set,
                    reopen=_reopener(arguments.path, party, limits) if arguments.remount else None,
                )
                outcome = export(order, tools)
            _note(db, party, order, outcome)
    except StickError as error:
        raise as_cli_error(error) from error
    except FormatError as error:
        raise CliError(
            f"What is on the stick cannot be read: {error}. {UNTOUCHED} Take another stick, or have it formatted.",
            ENVIRONMENT,
            "stick-format",
        ) from error
    except MountError as error:
        raise CliError(
            f"The stick could not be taken out and put back: {error}. Nothing is lost: every study is still on this "
            "unit. Remove the stick, put it in again and run 'qafila courier verify'.",
            ENVIRONMENT,
            "stick-remount",
        ) from error
    return _tell(arguments, outcome, behind)


# --- before --------------------------------------------------------------------------------------------------------


def _recipients(party: Party, recovery: str) -> tuple[str, ...]:
    centre = party.identity.centre_age_recipient
    try:
        return tuple(recipient_of_text(one) for one in (centre, recovery) if one)
    except ValueError as error:
        raise CliError(
            f"{error}. Nothing was changed. An age recipient begins with 'age1'.", USAGE, "no-age-recipient"
        ) from error


def _check_place(config: UnitConfig, path: Path, *, any_folder: bool) -> None:
    """A mount point without a stick is a folder on this unit's disk: filling that would stop reception.

    Raises:
        CliError: It is no folder, or no stick.
    """
    if not path.is_dir():
        raise CliError(
            f"{path} is no folder. Nothing was changed. Is the stick plugged in and mounted there?",
            NOT_FOUND,
            "no-stick",
        )
    if not any_folder and path.stat().st_dev == config.data_dir.stat().st_dev:
        raise CliError(
            f"{path} lies on this unit's own disk: the stick is not mounted there. Nothing was changed. Plug it in and "
            "mount it, or say --any-folder if that is what you want.",
            NOT_FOUND,
            "no-stick",
        )


def _order(
    db: Store,
    config: UnitConfig,
    party: Party,
    arguments: argparse.Namespace,
    recipients: tuple[str, ...],
    limits: CourierLimits,
) -> Order:
    uids = [find_study(db, part) for part in arguments.study]
    owed = owed_items(db, party.destination.name, uids)
    stick = stick_at(arguments.path, party.keys, limits)
    if arguments.skip_carried:
        elsewhere = carried_item_ids(db, without_stick=stick)
        owed = tuple(item for item in owed if item.item_id not in elsewhere)
    arrived = [copy for copy in copies_on(db, stick) if copy.confirmed] if stick else []
    owed_uids = {item.study_instance_uid for item in owed}
    return Order(
        path=arguments.path,
        items=send_items(db, config, owed),
        recipients=recipients,
        delivered=tuple((copy.sop_instance_uid, copy.sha256) for copy in arrived),
        new_stick_id=secrets.token_hex(8),
        notes={uid: study_notes(study_facts(db, uid), CLOCK.wall_s()) for uid in owed_uids},
    )


def send_items(db: Store, config: UnitConfig, items: Sequence[OutboxItem]) -> tuple[SendItem, ...]:
    """Items as the encoder takes them, in their order."""
    found: list[SendItem] = []
    for start in range(0, len(items), PAGE_ITEM_COUNT):
        page = items[start : start + PAGE_ITEM_COUNT]
        instances = instances_of_items(db, [item.item_id for item in page])
        studies = known_studies(db, list({one.study_instance_uid for one in instances.values()}))
        earlier = earlier_digests(db, [item.item_id for item in page])
        for item in page:
            one = instances[item.item_id]
            known = studies[one.study_instance_uid]
            found.append(
                SendItem(
                    item_id=item.item_id,
                    sop_instance_uid=one.sop_instance_uid,
                    sop_class_uid=one.sop_class_uid,
                    study_instance_uid=one.study_instance_uid,
                    series_instance_uid=one.series_instance_uid,
                    transfer_syntax_uid=one.transfer_syntax_uid,
                    size_bytes=one.size_bytes,
                    sha256=one.sha256,
                    path=stored_path(config, one),
                    stat=item.priority is Priority.STAT,
                    study=known.header,
                    study_received_at=known.first_received_at,
                    study_instance_count=known.instance_count,
                    replaces=earlier.get(item.item_id, ()),
                )
            )
    return tuple(found)


@contextmanager
def _encoder(config: UnitConfig, items: Sequence[SendItem]) -> Iterator[BorrowingEncoder]:
    """Borrows from the sync process' spool; what is made here is gone afterwards, for the stick has it."""
    folder = config.data_dir / OWN_SPOOL_NAME
    limits = replace(
        config.limits, encoder_spool_bytes_max=min(OWN_SPOOL_BYTES_MAX, config.limits.encoder_spool_bytes_max)
    )
    try:
        own = EncoderService(folder, limits, CLOCK)
    except OSError as error:
        raise CliError(
            f"Another export seems to run ({folder}: {error.strerror}). Nothing was changed. Wait for its end.",
            ENVIRONMENT,
            "export-runs",
        ) from error
    own.note_link(STICK_RATE_BYTES_PER_S, sum(item.size_bytes for item in items))
    try:
        yield BorrowingEncoder(own, spool_folder(config.data_dir))
    finally:
        own.close()
        shutil.rmtree(folder, ignore_errors=True)


def _reopener(path: Path, party: Party, limits: CourierLimits) -> Callable[[UnitFolder], UnitFolder]:
    mount = mount_of(path)

    def reopen(folder: UnitFolder) -> UnitFolder:
        folder.close()
        remount(mount)
        return UnitFolder(path, party.keys, limits, create=False)

    return reopen


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """The first Ctrl-C asks for an orderly end, the second one ends at once; both leave the stick usable."""
    stop = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        print(f"\nStopping. {WAIT} yet.", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- meanwhile -----------------------------------------------------------------------------------------------------


class Teller:
    """Says where an export is: a line that is rewritten on a screen, a line each tenth elsewhere, or JSON lines."""

    def __init__(self, *, quiet: bool, as_json: bool = False) -> None:
        self._quiet = quiet
        self._as_json = as_json
        self._rewrites = sys.stderr.isatty()
        self._phase: Phase | None = None
        self._began_mono_s = self._said_mono_s = 0.0
        self._tenth = -1

    def __call__(self, step: Progress) -> None:
        now = CLOCK.mono_s()
        if step.phase is not self._phase:
            if self._rewrites and self._phase is not None and not self._quiet:
                print(file=sys.stderr)
            self._phase, self._began_mono_s, self._said_mono_s, self._tenth = step.phase, now, now, -1
        if self._as_json:
            if now - self._said_mono_s >= SAY_S or step.done_bytes >= step.total_bytes:
                self._said_mono_s = now
                print(json.dumps(asdict(step)), file=sys.stderr, flush=True)
            return
        tenth = step.done_bytes * 10 // step.total_bytes if step.total_bytes else 10
        is_due = now - self._said_mono_s >= SAY_S or tenth == 10 if self._rewrites else tenth > self._tenth
        if self._quiet or not is_due:
            return
        self._said_mono_s, self._tenth = now, tenth
        line = f"{progress(step, now - self._began_mono_s)}. {WAIT}"
        print(
            f"\r\x1b[K{line}" if self._rewrites else line,
            end="" if self._rewrites else "\n",
            file=sys.stderr,
            flush=True,
        )


# --- afterwards ----------------------------------------------------------------------------------------------------


def _note(db: Store, party: Party, order: Order, outcome: Outcome) -> None:
    """Only what was read back is noted as carried."""
    if outcome.ending not in (Ending.DONE, Ending.FULL):
        return
    note_copies(db, db.stamp(), outcome.stick, [(item.item_id, item.sha256) for item in outcome.carried], actor())
    arrived = set(order.delivered)
    gone = [one.item_id for one in copies_on(db, outcome.stick) if (one.sop_instance_uid, one.sha256) in arrived]
    forget_copies(db, outcome.stick, gone)


def _nothing_to_do(arguments: argparse.Namespace, behind: int) -> int:
    if arguments.json:
        print_json({"ending": "nothing-to-do", "left_behind_count": behind})
    else:
        print(f"Nothing to carry: there is no study here without the centre's receipt.{_behind(behind)}")
    return NEEDS_PERSON if behind else FINE


def _tell(arguments: argparse.Namespace, outcome: Outcome, behind: int) -> int:
    code = _EXIT_CODES[outcome.ending]
    if code == FINE and (outcome.failed or behind):
        code = NEEDS_PERSON
    if arguments.json:
        print_json(
            {
                "ending": outcome.ending.value,
                "stick": outcome.stick,
                "carried_count": len(outcome.carried),
                "study_count": len({item.study_instance_uid for item in outcome.carried}),
                "left_out_count": len(outcome.left_out),
                "failed_count": len(outcome.failed),
                "left_behind_count": behind,
                "written_bytes": outcome.written_bytes,
                "can_be_removed": outcome.ending in (Ending.DONE, Ending.FULL),
            }
        )
        return code
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(f"{ending(outcome)}{_behind(behind)}")
    if outcome.ending in (Ending.DONE, Ending.FULL):
        print(f"This stick is number {outcome.stick}; 'qafila courier status' shows when its receipts have come.")
    return code


def _behind(count: int) -> str:
    if not count:
        return ""
    images = counted(count, "image is", "images are")
    return f" {images} held, set aside, damaged or not checked yet, and go on no stick; see 'qafila studies'."
