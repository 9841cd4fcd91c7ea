"""Files, the door's ledger and Orthanc's index made to agree, while Orthanc does not run.

What each side proves: a ledger row proves that the bytes were durable and may have been acknowledged; an index row or a
row of ours proves that such a ledger row existed. A file that nothing vouches for was never acknowledged: its sender
still has it and sends it again, so it is set aside and never taken in. Every step may be cut off and done again.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.clock import Clock, utc_text
from appliance.config import UnitConfig, blob_path
from appliance.dicom.header import HeaderError, HeaderReader
from appliance.domain.values import Instance, LocalState
from appliance.logging import log
from appliance.orthanc.blobs import PARTIAL_SUFFIX, flush_folder
from appliance.orthanc.damage import MISSING, Damage, judge, judge_size, note, pieces, record
from appliance.orthanc.index import Index
from appliance.orthanc.part10 import META_BYTES_MAX, NotPart10Error, parse_meta
from appliance.orthanc.take_in import FEED as TAKE_IN_FEED
from appliance.orthanc.take_in import repoint, twins
from appliance.store.connect import Store
from appliance.store.door import (
    KeptRow,
    find_kept,
    kept_after,
    kept_of,
    mark_removed,
    note_quarantined,
    restore_kept,
)
from appliance.store.instances import find_instance, instances_by_state
from appliance.store.intake import FeedCursor, set_cursor

DIGEST_BYTES_MAX = 128 * 1024 * 1024
DIGEST_S_MAX = 2.0
"""The newest blobs are read again at every start, within these bounds; the scrub reads the others."""
PAGE_COUNT = 512
_BAD_SECTOR = frozenset((errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.EISDIR))
"""What no later reading of a file will mend; a start that waited for it would never come."""


@dataclass(slots=True)
class Plan:
    """What only a running Orthanc can do."""

    repost: list[str] = field(default_factory=list)
    """Kept blobs that its index lacks."""
    ghosts: list[tuple[str, str]] = field(default_factory=list)
    """Orthanc identifier and blob of index rows behind which there is nothing that was kept."""


@dataclass(slots=True)
class Reconciler:
    """One run.

    Attributes:
        is_index_lost: The index cannot vouch for anything: it was damaged or deleted.
        is_ledger_lost: The ledger was made anew, so a file without a row may have been acknowledged.
        did: Called after each durable step with its name: where tests cut.
    """

    config: UnitConfig
    unit: Store
    door: Store
    index: Index
    headers: HeaderReader
    clock: Clock
    is_index_lost: bool
    is_ledger_lost: bool
    did: Callable[[str], None] = lambda _: None

    def run(self) -> Plan:
        """Make them agree; what is left for a running Orthanc.

        Raises:
            StoreError, OSError: Cut off; run it again.
        """
        self._restore_evicted()
        is_removed = self._removed_by_blob()
        for path in _files(self.config.blob_dir):
            self._settle_file(path, is_removed.get(path.name))
        self._drop_twins()
        plan = self._check_kept()
        self._check_doubtful()
        self._check_newest_digests()
        self._check_instances()
        self._drop_attachments()
        return plan

    def _removed_by_blob(self) -> dict[str, bool]:
        """Every blob the ledger ever knew, and whether it let it go; some 15 MB for 100,000 of them."""
        return {blob: bool(removed) for blob, removed in self.door.rows("SELECT blob_uuid, removed_at <> '' FROM kept")}

    def _restore_evicted(self) -> None:
        """A new ledger must still know what was delivered and evicted, to notice other bytes under its number."""
        if not self.is_ledger_lost:
            return
        for instance in _instances(self.unit, LocalState.EVICTED):
            self._restore(_row_of(instance, removed_at=instance.received_at))
            self.did("evicted-restored")

    # files that the ledger does not know, or knows as removed

    def _settle_file(self, path: Path, is_removed: bool | None) -> None:
        if path.name.endswith(PARTIAL_SUFFIX):
            # Written by a process that died before it could record anything: never acknowledged, never whole.
            path.unlink()
            self.did("partial-removed")
            return
        if is_removed is None:
            self._settle_unknown(path)
        elif is_removed:
            path.unlink()
            self.did("removal-finished")

    def _settle_unknown(self, path: Path) -> None:
        row = self._proved(path)
        if row is None:
            self._set_aside(path)
        else:
            log("unit.recovery", "ledger row restored", blob=path.name, uid=row.sop_instance_uid)
            self._restore(row)
            self.did("row-restored")

    def _restore(self, row: KeptRow) -> None:
        """Write a lost row again. Its new number may be one that intake has passed, so intake reads all again.

        That is noted first: a cut in between costs a second reading, the other way round it would cost a picture.
        """
        set_cursor(self.unit, FeedCursor(TAKE_IN_FEED))
        restore_kept(self.door, row, self.index.header_of(row.blob_uuid))

    def _proved(self, path: Path) -> KeptRow | None:
        """The row this file had, when something else than the file vouches for its bytes."""
        known = _instance_of_blob(self.unit, path.name)
        if known is not None:
            # What was acknowledged is what the row says; a file that differs is then found as damaged.
            return _row_of(known)
        digests = _digests(path)
        if digests is None:
            return None
        row = digests.row(path, self.clock)
        if any(other.dataset_sha256 != row.dataset_sha256 for other in kept_of(self.door, row.sop_instance_uid)):
            return None
        indexed = self.index.blobs.get(path.name)
        if indexed is not None:
            return row if (indexed.size_bytes, indexed.md5) == (row.size_bytes, digests.md5) else None
        if self.is_ledger_lost and self.is_index_lost:
            return row if self._is_whole(path) else None
        return None

    def _is_whole(self, path: Path) -> bool:
        try:
            self.headers.check_complete(path)
        except HeaderError:
            return False
        return True

    def _set_aside(self, path: Path) -> None:
        reason = "unacknowledged" if self._is_whole(path) else "torn"
        name = f"{reason}-{path.name}.dcm"
        digests = _digests(path)
        size_bytes = path.stat().st_size
        note_quarantined(
            self.door,
            self.door.stamp(),
            reason=reason,
            sop_instance_uid=digests.sop_instance_uid if digests else "",
            sha256=digests.sha256 if digests else "",
            size_bytes=size_bytes,
            file_name=name,
        )
        path.rename(self.config.quarantine_dir / name)
        flush_folder(self.config.quarantine_dir)
        flush_folder(path.parent)
        log("unit.recovery", "set aside", reason=reason, blob=path.name, bytes=size_bytes)
        self.did("set-aside")

    # rows of the ledger

    def _drop_twins(self) -> None:
        """Of several blobs with one data set the one that Orthanc holds stays; one instance, one file."""
        for sop_instance_uid in sorted(twins(self.door)):
            present = kept_of(self.door, sop_instance_uid)
            # Whatever was sent or posted twice is met here at every later start: one copy left is not read again.
            if len(present) > 1:
                self._drop_all_but_one(present)
            repoint(self.unit, self.door, sop_instance_uid)

    def _drop_all_but_one(self, present: Sequence[KeptRow]) -> None:
        stays = [row for row in present if row.blob_uuid in self.index.blobs] or present[-1:]
        good = next((row for row in stays if judge(self.config, row) is None), None)
        for row in present:
            if good and row.blob_uuid != good.blob_uuid and row.dataset_sha256 == good.dataset_sha256:
                self._drop(row)

    def _drop(self, row: KeptRow) -> None:
        mark_removed(self.door, self.door.stamp(), row.blob_uuid)
        blob_path(self.config.blob_dir, row.blob_uuid).unlink(missing_ok=True)
        self.did("twin-dropped")

    def _check_kept(self) -> Plan:
        """Every kept blob by its length, and what Orthanc's index says otherwise: the plan."""
        size_by_blob = {path.name: path.stat().st_size for path in _files(self.config.blob_dir)}
        plan, present = Plan(), set()
        for row in _kept(self.door):
            present.add(row.blob_uuid)
            if size_by_blob.get(row.blob_uuid) != row.size_bytes:
                record(self.config, self.unit, self.door, row, judge_size(self.config, row))
                self.did("damage-noted")
            elif row.blob_uuid not in self.index.blobs:
                plan.repost.append(row.blob_uuid)
        plan.ghosts = [(i.orthanc_id, i.blob_uuid) for i in self.index.blobs.values() if i.blob_uuid not in present]
        return plan

    def _check_doubtful(self) -> None:
        """What was missing or damaged may have come back; a length alone does not clear an alarm."""
        for state in (LocalState.MISSING, LocalState.CORRUPT):
            for instance in _instances(self.unit, state):
                kept = find_kept(self.door, instance.blob_uuid)
                if kept is not None:
                    record(self.config, self.unit, self.door, kept, judge(self.config, kept))

    def _check_newest_digests(self) -> None:
        """What was written last is what a power cut could have touched."""
        until_mono_s = self.clock.mono_s() + DIGEST_S_MAX
        left_bytes = DIGEST_BYTES_MAX
        sql = "SELECT blob_uuid FROM kept WHERE removed_at = '' ORDER BY kept_id DESC LIMIT 1000"
        for (blob_uuid,) in self.door.rows(sql):
            row = find_kept(self.door, blob_uuid)
            if row is None or row.size_bytes > left_bytes or self.clock.mono_s() > until_mono_s:
                return
            left_bytes -= row.size_bytes
            record(self.config, self.unit, self.door, row, judge(self.config, row))

    def _check_instances(self) -> None:
        """Rows of ours whose blob neither ledger nor disk knows: lost, and said so."""
        ever_kept = self._removed_by_blob()
        for instance in _instances(self.unit, LocalState.PRESENT):
            if instance.blob_uuid not in ever_kept:
                damage = Damage(MISSING, f"blob={instance.blob_uuid} ledger=none")
                note(self.unit, instance.sop_instance_uid, instance.blob_uuid, damage)
                self.did("missing-noted")

    # Orthanc's side

    def _drop_attachments(self) -> None:
        """Attachments that a damaged or older index no longer names; Orthanc derives them again from the blob."""
        folder = self.config.orthanc_dir / "attachments"
        for path in _files(folder) if folder.is_dir() else ():
            if path.name not in self.index.others:
                path.unlink()


@dataclass(frozen=True, slots=True)
class _Digests:
    """What a file without a row says of itself."""

    sop_instance_uid: str
    sha256: str
    dataset_sha256: str
    md5: str
    size_bytes: int

    def row(self, path: Path, clock: Clock) -> KeptRow:
        """A ledger row for it, received nobody knows when: its file's own time is the best there is."""
        return KeptRow(
            kept_id=0,
            blob_uuid=path.name,
            sop_instance_uid=self.sop_instance_uid,
            sha256=self.sha256,
            dataset_sha256=self.dataset_sha256,
            size_bytes=self.size_bytes,
            calling_ae_title="",
            received_at=utc_text(path.stat().st_mtime),
            boot_id=clock.boot_id(),
            mono_s=clock.mono_s(),
            removed_at="",
        )


def _digests(path: Path) -> _Digests | None:
    """All digests in one reading; ``None`` when it is no Part 10 file with a UID of its own, or a bad sector hides it.

    Raises:
        OSError: For what says nothing of this file, such as too many open ones.
    """
    try:
        return _read_digests(path)
    except OSError as error:
        if error.errno not in _BAD_SECTOR:
            raise
        log("unit.recovery", "unreadable", blob=path.name, error=error.strerror)
        return None


def _read_digests(path: Path) -> _Digests | None:
    with path.open("rb") as file:
        try:
            meta = parse_meta(file.read(META_BYTES_MAX + 1))
        except NotPart10Error:
            return None
    whole, dataset = hashlib.sha256(), hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    position = 0
    for piece in pieces(path):
        whole.update(piece)
        md5.update(piece)
        dataset.update(piece[max(0, meta.dataset_offset - position) :])
        position += len(piece)
    return _Digests(meta.sop_instance_uid, whole.hexdigest(), dataset.hexdigest(), md5.hexdigest(), position)


def _row_of(instance: Instance, removed_at: str = "") -> KeptRow:
    return KeptRow(
        kept_id=0,
        blob_uuid=instance.blob_uuid,
        sop_instance_uid=instance.sop_instance_uid,
        sha256=instance.sha256,
        dataset_sha256=instance.dataset_sha256,
        size_bytes=instance.size_bytes,
        calling_ae_title=instance.calling_ae_title,
        received_at=instance.received_at,
        boot_id="",
        mono_s=0.0,
        removed_at=removed_at,
    )


def _instance_of_blob(unit: Store, blob_uuid: str) -> Instance | None:
    uid = unit.value("SELECT sop_instance_uid FROM instance WHERE blob_uuid = ?", (blob_uuid,))
    found = find_instance(unit, uid) if uid else None
    return found[0] if found else None


def _instances(unit: Store, state: LocalState) -> Iterator[Instance]:
    after = ""
    while page := instances_by_state(unit, state, after, PAGE_COUNT):
        yield from page
        after = page[-1].sop_instance_uid


def _kept(door: Store) -> Iterator[KeptRow]:
    """Rows whose blob should be there."""
    seq = 0
    while page := kept_after(door, seq, PAGE_COUNT):
        yield from (row for row in page if not row.removed_at)
        seq = page[-1].kept_id


def _files(folder: Path) -> Iterator[Path]:
    """Files of the two-digit folders, in order; listed first, for they are moved while walking."""
    for part in sorted(each for each in folder.iterdir() if each.is_dir()):
        yield from sorted(part.iterdir())
