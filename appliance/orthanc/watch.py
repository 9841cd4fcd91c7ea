"""Orthanc's change log as a hint: whatever it names must be in our rows, and what is not is looked into.

Nothing depends on it. Orthanc may be down, restart or forget; the ledger alone fills the outbox.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from appliance.config import UnitConfig, blob_path
from appliance.dicom.header import HeaderError, HeaderReader, header_from
from appliance.logging import log
from appliance.orthanc import feed
from appliance.orthanc.rest import OrthancDown, OrthancRefused, OrthancRest
from appliance.orthanc.take_in import UNREADABLE, destination_names, kept_instance
from appliance.store.connect import Store
from appliance.store.door import find_kept
from appliance.store.findings import clear_finding, note_finding, open_subjects
from appliance.store.instances import find_instance, point_at_blob
from appliance.store.intake import FeedCursor, get_cursor, keep_instances, set_cursor

FEED = "changes"
POLL_S = 2.0
PAGE_COUNT = 500
PATIENCE_COUNT = 3
"""Polls that an unknown instance is given to come in by the ledger before anybody is asked about it."""
UNLEDGERED = "not-in-ledger"
RETRY_UNREADABLE_S = 600.0


@dataclass
class Watch:
    """Follows the change log; used by one thread of its own, for Orthanc may take its time to answer."""

    config: UnitConfig
    unit: Store
    door: Store
    headers: HeaderReader
    orthanc: OrthancRest
    reachable: bool = False
    seq: int = 0
    _cursor: feed.Cursor = field(init=False)
    _unknown: dict[str, int] = field(init=False, default_factory=dict)
    _until_retry_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        known = get_cursor(self.unit, FEED)
        self._cursor = feed.Cursor(known.seq, known.row_id, known.row_date)

    def step(self) -> float:
        """One page of the log, and the instances that are still unknown; seconds until the next step."""
        try:
            more = self._follow()
            self._settle()
            self._retry_unreadable()
            self.reachable = True
        except (OrthancDown, OrthancRefused) as error:
            if self.reachable:
                log("unit.intake", "Orthanc does not answer", why=error)
            self.reachable = False
            return POLL_S
        return 0.0 if more else POLL_S

    def _follow(self) -> bool:
        rows = self.orthanc.changes(feed.since(self._cursor), PAGE_COUNT)
        step = feed.follow(self._cursor, rows)
        if step.rescan:
            log("unit.intake", "change log is another one, reading it again", seq=self._cursor.seq)
        for orthanc_id in self._not_in_rows(step.instance_ids):
            self._unknown.setdefault(orthanc_id, 0)
        self._cursor = step.cursor
        self.seq = step.cursor.seq
        self._remember()
        return step.rescan or len(rows) == PAGE_COUNT

    def _remember(self) -> None:
        """Only while nothing is open: after a restart the open ones are met again in the log."""
        if not self._unknown:
            set_cursor(self.unit, FeedCursor(FEED, self._cursor.seq, self._cursor.row_id, self._cursor.row_date))

    def _not_in_rows(self, orthanc_ids: tuple[str, ...]) -> list[str]:
        rows = self.unit.rows(
            "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT orthanc_id FROM instance)",
            (json.dumps(orthanc_ids),),
        )
        return [row[0] for row in rows]

    def _settle(self) -> None:
        still = set(self._not_in_rows(tuple(self._unknown)))
        for orthanc_id in list(self._unknown):
            self._unknown[orthanc_id] += 1
            if orthanc_id not in still:
                del self._unknown[orthanc_id]
            elif self._unknown[orthanc_id] >= PATIENCE_COUNT:
                self._look_into(orthanc_id)
                del self._unknown[orthanc_id]
        self._remember()

    def _look_into(self, orthanc_id: str) -> None:
        """An instance of Orthanc's that our rows lack by that identifier."""
        blob_uuid = self.orthanc.blob_uuid(orthanc_id)
        if blob_uuid is None:
            return
        kept = find_kept(self.door, blob_uuid)
        if kept is None:
            log("unit.intake", "Orthanc has what the ledger lacks", orthanc_id=orthanc_id, blob=blob_uuid)
            note_finding(
                self.unit,
                kind=UNLEDGERED,
                subject_id=orthanc_id,
                sentence="A picture is on this unit that its own books do not know. It is kept, and looked into when "
                "the unit starts the next time: switch it off and on when no examination runs.",
                severity="alarm",
                detail=f"blob={blob_uuid}",
            )
            return
        known = find_instance(self.unit, kept.sop_instance_uid)
        if known and known[0].blob_uuid == blob_uuid and known[0].orthanc_id != orthanc_id:
            # Orthanc read the Patient ID otherwise than we do; its identifier is the one that works.
            log("unit.intake", "Orthanc names an instance otherwise", orthanc_id=orthanc_id)
            point_at_blob(self.unit, self.unit.stamp(), replace(known[0], orthanc_id=orthanc_id), event="renamed")

    def _retry_unreadable(self) -> None:
        """Ask Orthanc for the identity of what we could not read; it understood the file when it took it."""
        self._until_retry_s -= POLL_S
        if self._until_retry_s > 0:
            return
        self._until_retry_s = RETRY_UNREADABLE_S
        for blob_uuid in open_subjects(self.unit, UNREADABLE):
            self._identify(blob_uuid)

    def _identify(self, blob_uuid: str) -> None:
        row = find_kept(self.door, blob_uuid)
        if row is None or row.removed_at:
            clear_finding(self.unit, kind=UNREADABLE, subject_id=blob_uuid, actor="intake")
            return
        try:
            header = self.headers.read(blob_path(self.config.blob_dir, blob_uuid))
        except HeaderError:
            tags = self.orthanc.tags_of(row.sop_instance_uid, blob_uuid)
            if tags is None:
                return
            try:
                header = header_from(tags)
            except HeaderError:
                return
        if header.sop_instance_uid != row.sop_instance_uid:
            return
        names = destination_names(self.config)
        keep_instances(self.unit, self.unit.stamp(), [kept_instance(row, header)], names, None)
        clear_finding(self.unit, kind=UNREADABLE, subject_id=blob_uuid, actor="intake")
