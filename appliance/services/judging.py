"""What this unit can answer for: an instance whose bytes it kept before *Success* and still has, or gave up by rule.

Committed is what stands in the door's ledger with its digest and lies whole on the disk, and what was removed because
every centre has proved to hold the same bytes. Any doubt is a failure: the device keeps its copy then.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from appliance.config import blob_path
from appliance.orthanc.part10 import META_BYTES_MAX, NotPart10Error, parse_meta
from appliance.store.commitments import COMMITTED, Reference
from appliance.store.connect import Store
from appliance.store.door import KeptRow, kept_of

PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
"""Failure Reason (0008,1197), PS3.3 section C.14.1.1."""


class Judge:
    """Judges references against both databases and the blobs, as they are at this moment."""

    def __init__(self, unit: Store, door: Store, blob_dir: Path) -> None:
        self._unit = unit
        self._door = door
        self._blob_dir = blob_dir

    def judge(self, references: Sequence[Reference], calling_ae_title: str) -> tuple[int, ...]:
        """``COMMITTED`` or a failure reason for each, in their order."""
        return tuple(self._one(reference, calling_ae_title) for reference in references)

    def _one(self, reference: Reference, calling_ae_title: str) -> int:
        uid = reference.sop_instance_uid
        if self._is_in_doubt(uid, calling_ae_title):
            return PROCESSING_FAILURE
        known = self._unit.row(
            """SELECT sop_class_uid, local_state, owed_count > 0 AND confirmed_count = owed_count
                FROM instance WHERE sop_instance_uid = ?""",
            (uid,),
        )
        kept = kept_of(self._door, uid)
        if known is None and not kept:
            return NO_SUCH_INSTANCE
        sop_class_uid, local_state, is_confirmed = known or ("", "present", False)
        if not sop_class_uid:
            sop_class_uid = next(filter(None, map(self._class_in_file, kept)), "")
        if sop_class_uid and sop_class_uid != reference.sop_class_uid:
            return CLASS_INSTANCE_CONFLICT
        if local_state == "evicted" and is_confirmed:
            return COMMITTED
        is_here = sop_class_uid and local_state == "present" and any(map(self._is_whole, kept))
        return COMMITTED if is_here else PROCESSING_FAILURE

    def _is_in_doubt(self, sop_instance_uid: str, calling_ae_title: str) -> bool:
        """Whether this device also sent other bytes under that UID, which were set aside: which ones does it mean?"""
        return (
            self._door.value(
                "SELECT 1 FROM quarantined WHERE sop_instance_uid = ? AND calling_ae_title = ?",
                (sop_instance_uid, calling_ae_title),
            )
            is not None
        )

    def _is_whole(self, kept: KeptRow) -> bool:
        try:
            return blob_path(self._blob_dir, kept.blob_uuid).stat().st_size == kept.size_bytes
        except (OSError, ValueError):
            return False

    def _class_in_file(self, kept: KeptRow) -> str:
        """For an instance that intake has not taken in yet."""
        try:
            with blob_path(self._blob_dir, kept.blob_uuid).open("rb") as file:
                return parse_meta(file.read(META_BYTES_MAX)).sop_class_uid
        except (OSError, ValueError, NotPart10Error):
            return ""
