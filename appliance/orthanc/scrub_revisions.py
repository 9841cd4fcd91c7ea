"""The scrub's second half: files of corrections, which nothing but their row vouches for.

A damaged one loses nothing: the original is another file. Its sender finds the damage too, but only when it sends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from appliance.config import UnitConfig, blob_path
from appliance.logging import log
from appliance.orthanc.damage import pieces
from appliance.store.connect import Store
from appliance.store.findings import clear_finding, note_finding, open_subjects
from appliance.store.intake import FeedCursor, get_cursor, set_cursor
from appliance.store.revisions import RevisionFile, revision_files_after
from appliance.stored import revision_dir

FEED = "scrub-revisions"
KIND = "revision-damaged"
PAGE_COUNT = 64
_SENTENCE = (
    "The corrected copy of a picture was damaged on the disk, and is not sent as it is. The picture as the device made "
    "it is another file. Undo the correction and make it again if it was not sent yet; tell the service: the disk may "
    "be failing."
)


def read_revisions(config: UnitConfig, unit: Store, rate_bytes_per_s: float) -> Iterator[float]:
    """One pass over what corrected pictures say now; seconds to wait after each piece. Begins where it stopped."""
    cursor = get_cursor(unit, FEED)
    is_whole_pass = cursor.seq == 0
    seen: set[str] = set()
    while rows := revision_files_after(unit, cursor.seq, PAGE_COUNT):
        for row in rows:
            seen.add(row.sop_instance_uid)
            yield from _read(config, unit, row, rate_bytes_per_s)
            cursor = FeedCursor(FEED, row.revision_id, row.blob_uuid)
        set_cursor(unit, cursor)
    set_cursor(unit, FeedCursor(FEED, 0, "", unit.stamp().at))
    if is_whole_pass:
        # What was not seen was undone, or its pixels have left this disk.
        for sop_instance_uid in set(open_subjects(unit, KIND)) - seen:
            clear_finding(unit, kind=KIND, subject_id=sop_instance_uid, actor="intake")


def _read(config: UnitConfig, unit: Store, row: RevisionFile, rate_bytes_per_s: float) -> Iterator[float]:
    digest, read_bytes = hashlib.sha256(), 0
    why = ""
    try:
        for piece in pieces(blob_path(revision_dir(config), row.blob_uuid)):
            digest.update(piece)
            read_bytes += len(piece)
            yield len(piece) / rate_bytes_per_s
        if digest.hexdigest() != row.sha256:
            why = f"bytes={read_bytes} made_bytes={row.size_bytes}"
    except OSError as error:
        why = f"error={error.strerror}"
    if not why:
        clear_finding(unit, kind=KIND, subject_id=row.sop_instance_uid, actor="intake")
        return
    detail = f"revision={row.revision_id} blob={row.blob_uuid} {why}"
    is_news = note_finding(
        unit, kind=KIND, subject_id=row.sop_instance_uid, sentence=_SENTENCE, severity="alarm", detail=detail
    )
    if is_news:
        log("unit.intake", KIND, uid=row.sop_instance_uid, facts=detail)
