"""Orthanc's index made to agree with the ledger, through Orthanc itself: what it lacks is handed to it again.

A blob that is posted comes back through the door as another blob with the same bytes; the door lets the older one go
when Orthanc's row for the new one is durable. Cut off at any moment, the next start plans anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.config import UnitConfig, blob_path
from appliance.logging import log
from appliance.orthanc.damage import judge, record
from appliance.orthanc.reconcile import Plan
from appliance.orthanc.rest import OrthancRefused, OrthancRest
from appliance.orthanc.take_in import repoint
from appliance.store.connect import Store
from appliance.store.door import KeptRow, find_kept, mark_removed
from appliance.store.findings import clear_finding, note_finding

PROGRESS_COUNT = 100
REFUSED = "repost-refused"


@dataclass(slots=True)
class Reposter:
    """One run over a plan; ``did`` as in ``Reconciler``."""

    config: UnitConfig
    unit: Store
    door: Store
    orthanc: OrthancRest
    did: Callable[[str], None] = lambda _: None

    def run(self, plan: Plan) -> None:
        """Carry the plan out; what it asks for twice is done once.

        Raises:
            OrthancDown: If Orthanc stops answering; run it again.
            StoreError, OSError: Cut off; run it again.
        """
        for orthanc_id, blob_uuid in plan.ghosts:
            self._forget(orthanc_id, blob_uuid)
        for number, blob_uuid in enumerate(plan.repost, start=1):
            row = find_kept(self.door, blob_uuid)
            if row is not None and not row.removed_at:
                self._post(row)
            if number % PROGRESS_COUNT == 0 or number == len(plan.repost):
                log("unit.recovery", "handed to Orthanc again", count=number, of=len(plan.repost))

    def _forget(self, orthanc_id: str, blob_uuid: str) -> None:
        """Take an index row away behind which nothing was kept; the door keeps whatever file there may be."""
        if self.orthanc.blob_uuid(orthanc_id) != blob_uuid:
            return
        self.orthanc.delete(orthanc_id)
        log("unit.recovery", "index row without a blob removed", orthanc_id=orthanc_id, blob=blob_uuid)
        self.did("ghost-removed")
        if find_kept(self.door, blob_uuid):
            return  # the ledger knows why it went; Orthanc's index is of before that
        note_finding(
            self.unit,
            kind="index-ghost",
            subject_id=orthanc_id,
            sentence="Orthanc listed a picture that is not on this disk; the entry was removed. If the device was told "
            "that it is stored, another message here says so.",
            severity="notice",
            detail=f"blob={blob_uuid}",
        )

    def _post(self, row: KeptRow) -> None:
        damage = judge(self.config, row)
        if not record(self.config, self.unit, self.door, row, damage):
            return
        try:
            orthanc_id = self.orthanc.post(blob_path(self.config.blob_dir, row.blob_uuid))
        except OrthancRefused as error:
            # Kept and delivered all the same: delivery reads the blob and does not ask Orthanc.
            log("unit.recovery", "Orthanc refuses a kept blob", blob=row.blob_uuid, status=error.status)
            note_finding(
                self.unit,
                kind=REFUSED,
                subject_id=row.sop_instance_uid,
                sentence="Orthanc does not take a stored picture back into its list. The picture is kept and is "
                "delivered as always. Tell the service.",
                severity="notice",
                detail=f"blob={row.blob_uuid} status={error.status}",
            )
            return
        self.did("posted")
        self._settle(row, self.orthanc.blob_uuid(orthanc_id))
        clear_finding(self.unit, kind=REFUSED, subject_id=row.sop_instance_uid, actor="recovery")

    def _settle(self, row: KeptRow, indexed_uuid: str | None) -> None:
        """Leave one blob: the one Orthanc holds, if it proves to be the same data set."""
        indexed = find_kept(self.door, indexed_uuid) if indexed_uuid else None
        now = find_kept(self.door, row.blob_uuid)
        is_twin = indexed is not None and not indexed.removed_at and indexed.dataset_sha256 == row.dataset_sha256
        if is_twin and indexed != now and now is not None and not now.removed_at:
            assert indexed is not None
            if judge(self.config, indexed) is None:
                mark_removed(self.door, self.door.stamp(), row.blob_uuid)
                blob_path(self.config.blob_dir, row.blob_uuid).unlink(missing_ok=True)
                self.did("twin-dropped")
        repoint(self.unit, self.door, row.sop_instance_uid)
