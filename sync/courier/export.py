"""Writes what the centre has no receipt for onto a stick, goes on where an earlier export ended, and reads it all back.

The source is never touched. Nothing is said to be on a stick before the medium gave every octet of it back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from appliance.domain.failure import Failure, FailureKind
from sync.adapters.base import SendItem
from sync.courier.errors import StickError, StickFault
from sync.courier.filling import Coded, Filling, PackHeaders, Preview, piece_count
from sync.courier.keys import UnitKeys
from sync.courier.limits import CourierLimits
from sync.courier.sealing import fingerprint
from sync.courier.unit_folder import UnitFolder
from sync.encoder.base import EncodedFile, EncodeError, Encoder
from sync.wire.notes import StudyNotes

PREVIEW_BYTES_MAX = 256 * 1024
TRY_COUNT = 3
AHEAD_COUNT = 16
"""Instances that the encoder may make while others are written."""
PIXELS_GONE = Failure(
    FailureKind.TRANSIENT, "courier-pixels-changed", "The prepared pixels of an image changed while they were copied."
)


class Phase(StrEnum):
    """What an export is doing."""

    COPYING = "copying"
    CHECKING = "checking"


class Ending(StrEnum):
    """How an export ended; what it means is told by ``sync.courier.sentences``."""

    DONE = "done"
    FULL = "full"
    """The stick has no room for the rest; what is on it was verified."""
    STOPPED = "stopped"
    """A person stopped it; what is on it was not read back."""
    LIES = "lies"
    """The medium does not give back what was just written."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an export is; bytes are of stored files while copying, of the stick's files while checking."""

    phase: Phase
    done_bytes: int
    total_bytes: int
    done_count: int = 0
    """Instances."""
    total_count: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """What to export, and for whom."""

    path: Path
    items: tuple[SendItem, ...]
    """In the order in which they go."""
    recipients: tuple[str, ...]
    """age recipients: the centre's, and the organiser's for recovery."""
    delivered: tuple[tuple[str, str], ...] = ()
    """(SOP Instance UID, SHA-256) of what this stick carried and the centre gave a receipt for: it makes room."""
    new_stick_id: str = ""
    """Random, 16 hex digits; for a stick that has none yet."""
    notes: Mapping[str, StudyNotes] = field(default_factory=dict)
    """By Study Instance UID; each parcel has those of its studies."""


@dataclass(slots=True)
class Outcome:
    """What became of an export."""

    ending: Ending = Ending.DONE
    stick: str = ""
    carried: list[SendItem] = field(default_factory=list)
    """On the stick, whole and read back; those of earlier exports too."""
    left_out: list[SendItem] = field(default_factory=list)
    """Not on it, because it is full or the export was stopped."""
    failed: list[tuple[SendItem, Failure]] = field(default_factory=list)
    """They could not be prepared here."""
    written_bytes: int = 0
    damaged_count: int = 0
    """Parcels of earlier exports that the stick had lost; their content was written again where it is still owed."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What an export works with."""

    keys: UnitKeys
    encoder: Encoder
    pack_headers: PackHeaders
    limits: CourierLimits = field(default_factory=CourierLimits)
    on_progress: Callable[[Progress], None] = lambda progress: None
    cancelled: Callable[[], bool] = lambda: False
    reopen: Callable[[UnitFolder], UnitFolder] | None = None
    """Closes the folder, has the stick unmounted and mounted again, and opens it anew: nothing is read from memory."""


def export(order: Order, tools: Tools) -> Outcome:
    """Copy, flush, read back.

    Raises:
        StickError: The stick is read-only, denied, strange or gone; what it holds whole stays good for the next try.
        ValueError: A recipient is no age recipient.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(UnitFolder(order.path, tools.keys, tools.limits, create=True))
        folder.begin(order.new_stick_id, tuple(fingerprint(recipient) for recipient in order.recipients))
        _make_room(folder, order, tools)
        outcome = Outcome(stick=folder.index.stick)
        old = set(folder.index.parcels)
        _copy(folder, order, tools, outcome)
        folder.settle()
        if outcome.ending is Ending.STOPPED:
            return outcome
        if tools.reopen is not None:
            before = folder.index
            folder = stack.enter_context(tools.reopen(folder))
            if folder.index != before:
                outcome.ending = Ending.LIES
                return outcome
        _check(folder, order, tools, outcome, old)
        return outcome


def _make_room(folder: UnitFolder, order: Order, tools: Tools) -> None:
    """Strike out parcels all of whose instances have arrived."""
    arrived = {tools.keys.instance_name(uid, sha256) for uid, sha256 in order.delivered}
    for number, line in list(folder.index.parcels.items()):
        if line.holds and all(held.instance in arrived for held in line.holds):
            folder.strike(number)


def _copy(folder: UnitFolder, order: Order, tools: Tools, outcome: Outcome) -> None:
    """Fill and write parcels until all is there, the stick is full, or a person stops it."""
    whole = folder.index.whole_instances()
    waiting = [item for item in order.items if _name(tools, item) not in whole]
    done = [item for item in order.items if _name(tools, item) in whole]
    writer = _Writer(folder, order, tools, outcome)
    total_bytes = sum(item.size_bytes for item in order.items)
    done_bytes, done_count = sum(item.size_bytes for item in done), len(done)
    try:
        for number, item in enumerate(waiting):
            tools.encoder.want(waiting[number : number + AHEAD_COUNT])
            tools.on_progress(Progress(Phase.COPYING, done_bytes, total_bytes, done_count, len(order.items)))
            if tools.cancelled():
                outcome.ending = Ending.STOPPED
                break
            writer.put(item)
            done_bytes, done_count = done_bytes + item.size_bytes, done_count + 1
        writer.flush()
    except StickError as error:
        if error.fault is not StickFault.FULL:
            raise
        outcome.ending = Ending.FULL
    tools.on_progress(Progress(Phase.COPYING, done_bytes, total_bytes, done_count, len(order.items)))


def _check(folder: UnitFolder, order: Order, tools: Tools, outcome: Outcome, old: set[int]) -> None:
    """Read everything back; say that all is verified only when it is."""
    bad = _read_back(folder, tools)
    if tools.cancelled():
        outcome.ending = Ending.STOPPED
        return
    if any(number not in old for number in bad) or not folder.index_stands():
        outcome.ending = Ending.LIES
        return
    if bad:
        outcome.damaged_count = len(bad)
        for number in bad:
            folder.strike(number)
        outcome.ending = Ending.DONE
        outcome.failed.clear()
        _copy(folder, order, tools, outcome)
        folder.settle()
        if outcome.ending is Ending.STOPPED:
            return
        if _read_back(folder, tools) or not folder.index_stands():
            outcome.ending = Ending.LIES
            return
    folder.say_verified()
    folder.settle()
    if not folder.index_stands():
        outcome.ending = Ending.LIES
        return
    whole = folder.index.whole_instances()
    failed = {item.item_id for item, _ in outcome.failed}
    outcome.carried = [item for item in order.items if _name(tools, item) in whole]
    outcome.left_out = [i for i in order.items if _name(tools, i) not in whole and i.item_id not in failed]


def _read_back(folder: UnitFolder, tools: Tools) -> list[int]:
    total_bytes, done_bytes = folder.index.size_bytes, 0

    def on_read(count: int) -> None:
        nonlocal done_bytes
        done_bytes += count
        tools.on_progress(Progress(Phase.CHECKING, done_bytes, total_bytes))

    return list(folder.damaged(on_read, tools.cancelled))


def _name(tools: Tools, item: SendItem) -> str:
    return tools.keys.instance_name(item.sop_instance_uid, item.sha256)


class _Writer:
    """Turns items into parcels; one is filled while the next item is encoded."""

    def __init__(self, folder: UnitFolder, order: Order, tools: Tools, outcome: Outcome) -> None:
        self._folder = folder
        self._order = order
        self._tools = tools
        self._outcome = outcome
        self._filling = self._new()

    def put(self, item: SendItem) -> None:
        """Encode one instance and add its pieces.

        Raises:
            StickError: From writing a parcel that became full.
        """
        tools = self._tools
        for attempt in range(TRY_COUNT):
            try:
                parts = tools.encoder.encoded(item, tools.cancelled)
                if parts is not None:
                    self._add_pieces(item, parts)
                return
            except EncodeError as error:
                if error.failure is PIXELS_GONE and attempt + 1 < TRY_COUNT:
                    continue
                self._outcome.failed.append((item, error.failure))
                return

    def flush(self) -> None:
        """Write the parcel that is being filled, if it holds anything."""
        if self._filling.is_empty:
            return
        folder, number = self._folder, self._folder.index.number_last + 1
        head, content, holds = self._filling.close(folder.index.stick, number)
        folder.add(head, content, holds, self._order.recipients)
        self._outcome.written_bytes += folder.index.parcels[number].size_bytes
        self._filling = self._new()

    def _new(self) -> Filling:
        tools = self._tools
        return Filling(tools.keys, tools.limits, tools.pack_headers, self._order.notes)

    def _add_pieces(self, item: SendItem, parts: EncodedFile) -> None:
        if parts.pixels is None:
            self._add(Coded(item, parts, self._preview(item)), 0, b"")
            return
        limits, keys = self._tools.limits, self._tools.keys
        try:
            with parts.pixels.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != parts.pixels_sha256:
                    raise EncodeError(PIXELS_GONE)
                coded = Coded(item, parts, self._preview(item))
                count = piece_count(parts.pixels_bytes, limits)
                there: Iterable[int] = ()
                if count > 1:
                    name = keys.instance_name(item.sop_instance_uid, item.sha256)
                    there = self._folder.index.pieces_of(name, keys.part_name(parts.pixels_sha256), count)
                for piece in range(count):
                    if piece not in there:
                        self._add(coded, piece, _read_piece(file, piece, parts, limits))
        except StickError:
            raise
        except OSError as error:
            raise EncodeError(PIXELS_GONE) from error

    def _add(self, coded: Coded, piece: int, octets: bytes) -> None:
        if not self._filling.has_room(coded, len(octets)):
            self.flush()
        self._filling.add(coded, piece, octets)

    def _preview(self, item: SendItem) -> Preview | None:
        """In memory, for the file may go; none where none can be made: the pixels are what counts."""
        found = self._tools.encoder.preview(item, self._tools.cancelled)
        if found is None or found.size_bytes > PREVIEW_BYTES_MAX:
            return None
        try:
            octets = found.path.read_bytes()
        except OSError:
            return None
        same = hashlib.sha256(octets).hexdigest() == found.sha256
        return Preview(octets, found.sha256, found.media_type) if same else None


def _read_piece(file: BinaryIO, piece: int, parts: EncodedFile, limits: CourierLimits) -> bytes:
    start = piece * limits.parcel_bytes
    wanted_bytes = min(limits.parcel_bytes, parts.pixels_bytes - start)
    file.seek(start)
    octets = file.read(wanted_bytes)
    if len(octets) != wanted_bytes:
        raise EncodeError(PIXELS_GONE)
    return octets
