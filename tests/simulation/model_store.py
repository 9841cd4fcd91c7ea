"""The unit's database as the simulation sees it: rows that survive a power cut, moved by the rules of the real store.

``test_store_conformance.py`` holds these rules against ``appliance.store``.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from appliance.domain.failure import Failure
from appliance.domain.values import ItemState, LinkKind, OutboxItem, Priority, Receipt, TrafficClass
from sync.core.effects import (
    CloseTransfer,
    FinishCommand,
    KeepReceipt,
    MoveItem,
    NoteDamage,
    NoteEpoch,
    NoteFailure,
    NoteLink,
    NoteRate,
    NoteRecheck,
    NoteUsage,
    OpenTransfer,
    Record,
    SetPriority,
)


class Refused(AssertionError):
    """A record that the real store refuses as well."""


@dataclass(slots=True)
class Row:
    """One outbox row with its receipt."""

    item: OutboxItem
    failure: Failure | None = None
    receipt: Receipt | None = None
    receipt_at_s: float = 0.0
    receipt_epoch: str = ""
    receipt_clock_trusted: bool = True
    rechecked_at_s: float | None = None
    damaged: bool = False
    wanted_revision_id: int = 0
    notified_mono_s: float | None = None
    """When the engine of this boot was told that it waits."""


@dataclass(frozen=True, slots=True)
class Line:
    """One journal line."""

    item_id: int
    event: str
    from_state: ItemState
    to_state: ItemState
    revision_id: int | None = None


@dataclass(slots=True)
class ModelStore:
    """Committed state only: whatever was not applied is gone at a power cut."""

    rows: dict[int, Row] = field(default_factory=dict)
    waiting: dict[str, dict[int, Row]] = field(default_factory=dict)
    """``pending`` and ``ready`` rows by destination; only an index."""
    journal: list[Line] = field(default_factory=list)
    open_transfers: set[int] = field(default_factory=set)
    transfer_id_last: int = 0
    open_commands: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Kind and study by command id."""
    epochs: dict[str, str] = field(default_factory=dict)
    usage: dict[tuple[str, LinkKind], int] = field(default_factory=dict)
    """Bytes by day and kind of link."""
    coded_bytes: dict[int, int] = field(default_factory=dict)
    contents: dict[str, dict[int, tuple[str, int]]] = field(default_factory=dict)
    """Digest and size of every revision of the corrected instances, by SOP Instance UID and revision."""
    revision_id_last: int = 0
    undone: set[int] = field(default_factory=set)

    def add(self, item: OutboxItem) -> None:
        """Intake's transaction."""
        row = Row(item)
        self.rows[item.item_id] = row
        self.waiting.setdefault(item.destination, {})[item.item_id] = row

    def apply(self, records: Iterable[Record], wall_s: float, clock_trusted: bool) -> list[OutboxItem]:
        """One transaction; returns the rows whose move was refused because they were in another state."""
        records = list(records)
        receipts = {record.item_id: record.receipt for record in records if isinstance(record, KeepReceipt)}
        lost: list[OutboxItem] = []
        for record in records:
            match record:
                case MoveItem():
                    if not self._move(record, receipts.get(record.item_id), wall_s, clock_trusted):
                        lost.append(self.rows[record.item_id].item)
                case NoteRecheck(item_id, receipt):
                    row = self.rows[item_id]
                    if row.receipt is not None and row.receipt.sha256 == receipt.sha256:
                        row.rechecked_at_s = wall_s if clock_trusted else None
                        row.receipt_epoch = receipt.evidence.epoch
                case NoteFailure(item_id, failure):
                    self.rows[item_id].failure = failure
                case NoteDamage(item_id, _):
                    row = self.rows[item_id]
                    row.damaged = row.damaged or not row.item.revision_id
                case SetPriority(item_ids, priority, _):
                    for item_id in item_ids:
                        row = self.rows[item_id]
                        row.item = replace(row.item, priority=priority)
                case OpenTransfer(transfer_id):
                    if transfer_id <= self.transfer_id_last:
                        raise Refused(f"transfer {transfer_id} was given before")
                    self.transfer_id_last = transfer_id
                    self.open_transfers.add(transfer_id)
                case CloseTransfer(transfer_id, coded=coded):
                    if transfer_id not in self.open_transfers:
                        raise Refused(f"transfer {transfer_id} is not open")
                    self.open_transfers.discard(transfer_id)
                    self.coded_bytes.update(coded)
                case NoteEpoch(destination, epoch):
                    self._note_epoch(destination, epoch)
                case NoteUsage(kind, day, link_bytes):
                    self.usage[day, kind] = self.usage.get((day, kind), 0) + link_bytes
                case FinishCommand(command_id):
                    self.open_commands.pop(command_id, None)
                case KeepReceipt() | NoteLink() | NoteRate():
                    pass  # a receipt goes with its move
        return lost

    def _move(self, record: MoveItem, receipt: Receipt | None, wall_s: float, clock_trusted: bool) -> bool:
        row = self.rows[record.item_id]
        confirms = record.to_state is ItemState.CONFIRMED
        if confirms and receipt is None:
            raise Refused(f"item {record.item_id} confirmed without a receipt")
        outdated = row.item.revision_id != row.wanted_revision_id
        if row.item.state is not record.from_state or (outdated and record.to_state is ItemState.ENCODING):
            return False
        if confirms and receipt is not None:
            if not self._receipt_fits(row.item, receipt):
                raise Refused(f"the receipt is not about item {record.item_id}")
            row.receipt, row.receipt_at_s, row.receipt_clock_trusted = receipt, wall_s, clock_trusted
            row.receipt_epoch = receipt.evidence.epoch
            row.rechecked_at_s = None
        announced = row.item.announced if record.announced is None else record.announced
        row.item = replace(row.item, state=record.to_state, attempt_count=record.attempt_count, announced=announced)
        if record.revision_id is not None:
            self._set_content(row, record)
        row.failure = record.failure
        waiting = self.waiting[row.item.destination]
        if record.to_state in (ItemState.PENDING, ItemState.READY):
            waiting[record.item_id] = row
        else:
            waiting.pop(record.item_id, None)
        line = Line(record.item_id, record.event, record.from_state, record.to_state, record.revision_id)
        self.journal.append(line)
        return True

    def _set_content(self, row: Row, record: MoveItem) -> None:
        if record.to_state not in (ItemState.PENDING, ItemState.HELD):
            raise Refused(f"item {record.item_id} becomes another one while it is {record.to_state}")
        assert record.revision_id is not None
        sha256, size_bytes = self.contents[row.item.sop_instance_uid][record.revision_id]
        row.item = replace(row.item, revision_id=record.revision_id, sha256=sha256, size_bytes=size_bytes)

    def revise(self, sop_instance_uid: str, sha256: str, size_bytes: int) -> int:
        """A person's correction of one instance is committed; the id of its revision."""
        self.revision_id_last += 1
        for row in self.rows.values():
            if row.item.sop_instance_uid == sop_instance_uid:
                known = self.contents.setdefault(sop_instance_uid, {0: (row.item.sha256, row.item.size_bytes)})
                known[self.revision_id_last] = (sha256, size_bytes)
                row.wanted_revision_id = self.revision_id_last
        return self.revision_id_last

    def undo(self, sop_instance_uid: str) -> None:
        """Take the latest revision of an instance back, unless a destination may have seen it."""
        rows = [row for row in self.rows.values() if row.item.sop_instance_uid == sop_instance_uid]
        revision_id = rows[0].wanted_revision_id
        if revision_id == 0 or any(self._may_be_seen(row, revision_id) for row in rows):
            return
        self.undone.add(revision_id)
        standing = max(each for each in self.contents[sop_instance_uid] if each not in self.undone)
        for row in rows:
            row.wanted_revision_id = standing

    def _may_be_seen(self, row: Row, revision_id: int) -> bool:
        waits = row.item.state in (ItemState.PENDING, ItemState.HELD, ItemState.REJECTED)
        if row.item.revision_id == revision_id and not waits:
            return True
        is_there = False
        for line in self.journal:
            if line.item_id == row.item.item_id:
                is_there = is_there or line.revision_id == revision_id
                if is_there and line.event == "started":
                    return True
        return False

    def unrevised(self) -> tuple[Row, ...]:
        """As ``appliance.store.revisions.unrevised``."""
        return tuple(row for row in self.rows.values() if row.item.revision_id != row.wanted_revision_id)

    def original_sha256(self, row: Row) -> str:
        """Digest of what the modality sent."""
        known = self.contents.get(row.item.sop_instance_uid)
        return known[0][0] if known else row.item.sha256

    def wanted_sha256(self, row: Row) -> str:
        """Digest of the latest revision."""
        known = self.contents.get(row.item.sop_instance_uid)
        return known[row.wanted_revision_id][0] if known else row.item.sha256

    def earlier_digests(self, item: OutboxItem) -> tuple[str, ...]:
        """As ``appliance.store.revisions.earlier_digests``: ids of one instance's revisions only grow."""
        known = self.contents.get(item.sop_instance_uid, {})
        return tuple(sha256 for number, (sha256, _) in known.items() if number < item.revision_id)

    def _note_epoch(self, destination: str, epoch: str) -> None:
        before = self.epochs.get(destination, "")
        if epoch == before:
            return
        self.epochs[destination] = epoch
        for row in self.rows.values() if before else ():
            if row.item.destination == destination and row.item.state is not ItemState.CONFIRMED:
                row.item = replace(row.item, announced=False)

    def _receipt_fits(self, item: OutboxItem, receipt: Receipt) -> bool:
        said = (receipt.sha256, receipt.evidence.sha256, receipt.sop_instance_uid, receipt.destination)
        return said == (item.sha256, item.sha256, item.sop_instance_uid, item.destination)

    def candidates(
        self,
        destination: str,
        count: int,
        skip: Collection[int],
        least_tried_first: bool,
        classes: Sequence[TrafficClass] = tuple(TrafficClass),
        announces: bool = False,
    ) -> tuple[OutboxItem, ...]:
        """As ``appliance.store.outbox.candidates``."""
        left_out = set(skip)
        ranks = {each: rank for rank, each in enumerate(TrafficClass) if each in classes}
        found = []
        for item_id, row in self.waiting.get(destination, {}).items():
            rank = ranks.get(traffic_class(row.item, announces))
            if rank is not None and item_id not in left_out and row.item.revision_id == row.wanted_revision_id:
                tries = row.item.attempt_count if least_tried_first else 0
                found.append((rank, tries, *_age(row.item), row.item))
        found.sort(key=lambda each: each[:-1])
        return tuple(each[-1] for each in found[:count])

    def oldest_routine(
        self, destination: str, skip: Collection[int], classes: Sequence[TrafficClass], announces: bool
    ) -> OutboxItem | None:
        """As ``appliance.store.outbox.oldest_routine``."""
        routine = [each for each in classes if each in (TrafficClass.PREVIEW, TrafficClass.FULL)]
        everything = self.candidates(destination, len(self.rows), skip, False, routine, announces)
        return min(everything, key=_age, default=None)

    def confirmed_in_another_epoch(
        self, destination: str, epoch: str, after_item_id: int, count: int, evicted_uids: Collection[str] = ()
    ) -> tuple[OutboxItem, ...]:
        """As ``appliance.store.outbox.confirmed_in_another_epoch``."""
        found = (
            row.item
            for item_id, row in self.rows.items()
            if item_id > after_item_id
            and row.item.state is ItemState.CONFIRMED
            and row.item.destination == destination
            and row.receipt_epoch != epoch
            and not row.damaged
            and row.item.sop_instance_uid not in evicted_uids
        )
        return tuple(itertools.islice(found, count))

    def sent_items(self, destination: str, count: int, after_item_id: int) -> tuple[OutboxItem, ...]:
        """As ``appliance.store.outbox.sent_after``; ids grow with arrival, so the dict is in their order."""
        found = []
        for item_id, row in self.rows.items():
            if item_id > after_item_id and row.item.state is ItemState.SENT and row.item.destination == destination:
                found.append(row.item)
                if len(found) == count:
                    break
        return tuple(found)

    def under_way(self) -> tuple[OutboxItem, ...]:
        """Rows that a dead process left half-way."""
        states = (ItemState.ENCODING, ItemState.READY, ItemState.SENDING)
        return tuple(row.item for row in self.rows.values() if row.item.state in states)

    def of_study(self, study_instance_uid: str) -> tuple[OutboxItem, ...]:
        """All items of a study."""
        return tuple(row.item for row in self.rows.values() if row.item.study_instance_uid == study_instance_uid)


def traffic_class(item: OutboxItem, announces: bool) -> TrafficClass:
    """Once more by hand, so that a mistake of the core's is none of the model's."""
    stat = item.priority is Priority.STAT
    if announces and not item.announced:
        return TrafficClass.STAT_PREVIEW if stat else TrafficClass.PREVIEW
    return TrafficClass.STAT if stat else TrafficClass.FULL


def _age(item: OutboxItem) -> tuple[float, int, int]:
    return item.queued_at_s, item.size_bytes, item.item_id
