"""From the door's ledger into the outbox: one instance after another, each exactly once, in the order of reception.

The ledger is the hand-over: a row there was durable before the modality heard Success, so nothing acknowledged can be
missing from it. A file whose identity cannot be read stays kept, becomes a finding, and never holds up the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from appliance.config import UnitConfig, blob_path
from appliance.dicom.header import Header, HeaderError, HeaderReader
from appliance.domain.values import Instance
from appliance.logging import log
from appliance.orthanc.damage import KINDS, judge, record
from appliance.orthanc.feed import orthanc_id
from appliance.store.connect import Store, data_version
from appliance.store.door import KeptRow, find_kept, kept_after, kept_of
from appliance.store.findings import note_finding, open_kinds
from appliance.store.instances import find_instance, point_at_blob
from appliance.store.intake import FeedCursor, KeptInstance, get_cursor, keep_instances, set_cursor

FEED = "kept"
BATCH_COUNT = 64
"""Headers read before a commit: some 0.1 s of reading, so that the first of many is queued soon."""

UNREADABLE = "identity-unreadable"
"""Kind of the finding about a kept blob that says not who it is; its subject is the blob."""

_SENTENCES = {
    "io-error": "A stored picture cannot be read from the disk. It is kept and was not sent; the others go on. "
    "The disk may be failing: tell the service, and repeat the picture if you can.",
    "missing": "A stored picture is gone from the disk. Repeat it if you can, and tell the service.",
}
_SENTENCE_OTHERWISE = (
    "A stored picture does not say whose it is, so it is not sent. It is kept and the others go on. Tell the service."
)
_SUSPECT_NAME = (
    "The name on this study may be shown with wrong letters: the device labels its text with the wrong alphabet. "
    "The picture itself is untouched."
)


def kept_instance(row: KeptRow, header: Header) -> KeptInstance:
    """A ledger row with what the file's header says of it."""
    study = header.study
    return KeptInstance(
        instance=Instance(
            sop_instance_uid=row.sop_instance_uid,
            sop_class_uid=header.sop_class_uid,
            series_instance_uid=header.series_instance_uid,
            study_instance_uid=study.study_instance_uid,
            transfer_syntax_uid=header.transfer_syntax_uid,
            orthanc_id=orthanc_id(
                header.orthanc_patient_id, study.study_instance_uid, header.series_instance_uid, row.sop_instance_uid
            ),
            blob_uuid=row.blob_uuid,
            size_bytes=row.size_bytes,
            sha256=row.sha256,
            dataset_sha256=row.dataset_sha256,
            calling_ae_title=row.calling_ae_title,
            received_at=row.received_at,
        ),
        study=study,
        received_boot_id=row.boot_id,
        received_mono_s=row.mono_s,
    )


def note_unreadable(unit: Store, row: KeptRow, error: HeaderError) -> None:
    """The finding about a kept blob whose identity could not be read."""
    note_finding(
        unit,
        kind=UNREADABLE,
        subject_id=row.blob_uuid,
        sentence=_SENTENCES.get(error.code, _SENTENCE_OTHERWISE),
        severity="alarm",
        detail=f"why={error.code} uid={row.sop_instance_uid} sha256={row.sha256}",
    )


@dataclass
class TakeIn:
    """Follows the ledger; used by one thread.

    ``_twins`` are identifiers kept more than once: the door may yet remove the copy that the unit's rows name.
    """

    config: UnitConfig
    unit: Store
    door: Store
    headers: HeaderReader
    _cursor: FeedCursor = field(init=False)
    _seen_version: int = field(init=False, default=-1)
    _twins: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._cursor = get_cursor(self.unit, FEED)
        self._twins = twins(self.door)

    @property
    def cursor(self) -> FeedCursor:
        """The last ledger row that was dealt with."""
        return self._cursor

    def is_news(self) -> bool:
        """Whether the ledger changed since the last call; costs microseconds."""
        version = data_version(self.door)
        changed = version != self._seen_version
        self._seen_version = version
        return changed

    def take(self) -> int:
        """Take in at most one batch; the number of ledger rows passed, 0 when there is no more.

        Raises:
            StoreError: Nothing of the batch was taken in; ask again.
        """
        rows = self._next_rows()
        if not rows:
            self._follow_twins()
            return 0
        # Reading may wait for a stalled parser, so no transaction is open meanwhile.
        taken = [found for row in rows if not row.removed_at and (found := self._read(row))]
        last = rows[-1]
        cursor = FeedCursor(FEED, last.kept_id, last.blob_uuid)
        result = keep_instances(self.unit, self.unit.stamp(), taken, destination_names(self.config), cursor)
        self._cursor = cursor
        self._twins.update(result.known)
        self._look_again([*result.known, *(row.sop_instance_uid for row in rows if row.removed_at)])
        log("unit.intake", "taken in", new=len(result.new), known=len(result.known), kept_id=last.kept_id)
        self._follow_twins()
        return len(rows)

    def _next_rows(self) -> Sequence[KeptRow]:
        """Rows after the cursor; from the start when the ledger is not the one we followed (it was rebuilt)."""
        if not self._cursor.seq:
            return kept_after(self.door, 0, BATCH_COUNT)
        rows = kept_after(self.door, self._cursor.seq - 1, BATCH_COUNT + 1)
        if rows and (rows[0].kept_id, rows[0].blob_uuid) == (self._cursor.seq, self._cursor.row_id):
            return rows[1:]
        log("unit.intake", "ledger is another one, reading it again", kept_id=self._cursor.seq)
        self._cursor = FeedCursor(FEED)
        set_cursor(self.unit, self._cursor)
        return kept_after(self.door, 0, BATCH_COUNT)

    def _read(self, row: KeptRow) -> KeptInstance | None:
        try:
            header = self.headers.read(blob_path(self.config.blob_dir, row.blob_uuid))
            if header.sop_instance_uid != row.sop_instance_uid:
                raise HeaderError("no-identity", "the data set and the file header name different instances")
        except HeaderError as error:
            now = find_kept(self.door, row.blob_uuid)
            if error.code == "missing" and now and now.removed_at:
                return None
            log("unit.intake", "identity unreadable", blob=row.blob_uuid, why=error.code)
            note_unreadable(self.unit, row, error)
            return None
        if header.suspect_encoding:
            note_finding(
                self.unit,
                kind="character-set",
                subject_id=header.study.study_instance_uid,
                sentence=_SUSPECT_NAME,
                severity="notice",
                detail=f"looks-like={header.suspect_encoding} ae={row.calling_ae_title}",
            )
        return kept_instance(row, header)

    def _look_again(self, repeated: Sequence[str]) -> None:
        """A repeat heals a damaged or missing copy, at the door or by taking its place: the alarm ends at once."""
        for uid in repeated:
            known = find_instance(self.unit, uid)
            if known is None or not open_kinds(self.unit, uid) & KINDS:
                continue
            kept = find_kept(self.door, known[0].blob_uuid)
            if kept is not None and not judge(self.config, kept):
                record(self.config, self.unit, self.door, kept, None)

    def _follow_twins(self) -> None:
        """Point the unit's rows at the copy that stays, once the door has let the other one go."""
        settled = {uid for uid in self._twins if repoint(self.unit, self.door, uid)}
        self._twins -= settled


def twins(door: Store) -> set[str]:
    """SOP Instance UIDs with more than one ledger row of which at least one is removed or may be soon."""
    rows = door.rows("SELECT sop_instance_uid FROM kept GROUP BY sop_instance_uid HAVING count(*) > 1")
    return {row[0] for row in rows}


def repoint(unit: Store, door: Store, sop_instance_uid: str) -> bool:
    """Make the instance name a blob that is there; whether only one copy is left, so that nothing more can change."""
    present = kept_of(door, sop_instance_uid)
    known = find_instance(unit, sop_instance_uid)
    if known and present and all(row.blob_uuid != known[0].blob_uuid for row in present):
        newest = present[-1]
        if newest.dataset_sha256 == known[0].dataset_sha256:
            moved = replace(known[0], blob_uuid=newest.blob_uuid, sha256=newest.sha256, size_bytes=newest.size_bytes)
            point_at_blob(unit, unit.stamp(), moved)
    return len(present) <= 1


def destination_names(config: UnitConfig) -> list[str]:
    """To whom every instance is owed."""
    return [destination.name for destination in config.destination]
