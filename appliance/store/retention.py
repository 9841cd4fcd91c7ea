"""What the purge rule asks about a study: each instance with what every destination has shown for it."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.values import ItemState, LocalState
from appliance.store.connect import Store


@dataclass(frozen=True, slots=True)
class OwedProof:
    """One destination's standing receipt for one instance; texts are empty where there is none."""

    item_id: int
    destination: str
    state: ItemState
    receipt_sha256: str
    receipt_at: str
    checked_again_at: str


_OWED_SHA256 = """coalesce((SELECT sha256 FROM revision AS v WHERE v.instance_id = i.instance_id AND v.undone_at = ''
    ORDER BY number DESC LIMIT 1), i.sha256)"""


@dataclass(frozen=True, slots=True)
class RetainedInstance:
    """One instance of a study and all that is owed for it; ``sha256`` is of its latest revision, which is owed."""

    sop_instance_uid: str
    orthanc_id: str
    blob_uuid: str
    sha256: str
    size_bytes: int
    local_state: LocalState
    received_at: str
    proofs: tuple[OwedProof, ...]


def retained_instances(db: Store, study_instance_uid: str) -> tuple[RetainedInstance, ...]:
    """Every instance of a study in the order of arrival; empty for an unknown study."""
    rows = db.rows(
        f"""SELECT i.sop_instance_uid, i.orthanc_id, i.blob_uuid, {_OWED_SHA256}, i.size_bytes, i.local_state,
                i.received_at, o.item_id, o.destination, o.state, coalesce(r.sha256, ''), coalesce(r.received_at, ''),
                coalesce(r.checked_again_at, '')
            FROM instance AS i LEFT JOIN outbox AS o ON o.instance_id = i.instance_id
            LEFT JOIN receipt AS r ON r.item_id = o.item_id AND r.revoked_at = ''
            WHERE i.study_instance_uid = ? ORDER BY i.instance_id, o.item_id""",  # noqa: S608 - our own text
        (study_instance_uid,),
    )
    found: dict[str, tuple[tuple[str, str, str, str, int, LocalState, str], list[OwedProof]]] = {}
    for row in rows:
        fields = (*row[:5], LocalState(row[5]), row[6])
        _, proofs = found.setdefault(row[0], (fields, []))
        if row[7] is not None:
            proofs.append(OwedProof(row[7], row[8], ItemState(row[9]), *row[10:]))
    return tuple(RetainedInstance(*fields, tuple(proofs)) for fields, proofs in found.values())
