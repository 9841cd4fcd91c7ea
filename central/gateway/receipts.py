"""Receipts: what the centre states of one file, signed, so that nobody on the way can claim a delivery."""

from __future__ import annotations

from base64 import b64encode

import msgspec

from appliance.domain.values import Evidence
from central.gateway.keys import CentreKeys
from central.store.files import FileRow
from sync.wire.messages import Receipt, SignedReceipt
from sync.wire.proofs import receipt_message


def sign(
    keys: CentreKeys, unit_id: str, row: FileRow, evidence: Evidence, *, pacs: str, at: str, epoch: str
) -> tuple[bytes, bytes]:
    """Statement and signature of the receipt for one unit."""
    receipt = Receipt(
        unit_id=unit_id,
        study_instance_uid=row.study_instance_uid,
        sop_instance_uid=row.sop_instance_uid,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        dataset_sha256=evidence.dataset_sha256,
        pixel_sha256=evidence.pixel_sha256,
        method=evidence.method,
        pacs=pacs,
        verified_at=at,
        epoch=epoch,
    )
    statement = msgspec.json.encode(receipt)
    return statement, keys.signing.sign(receipt_message(statement))


def shown(statement: bytes | None, signature: bytes | None) -> SignedReceipt | None:
    """As it goes over the wire; ``None`` when there is none."""
    if not statement or not signature:
        return None
    return SignedReceipt(statement=b64encode(statement).decode("ascii"), signature=b64encode(signature).decode("ascii"))
