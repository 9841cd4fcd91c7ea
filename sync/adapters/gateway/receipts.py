"""Receipts that the centre signed for this unit: checked when they come, kept until somebody asks.

A receipt counts for exactly one unit, SOP Instance UID and SHA-256; what it says of others, or what another key signed,
is refused and logged. Bounded: an old receipt that fell out is told again by the next manifest.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import msgspec

from appliance.domain.values import Evidence
from appliance.logging import log
from sync.adapters.base import SendItem
from sync.adapters.gateway.keys import from_base64, is_signed
from sync.wire.messages import Receipt, SignedReceipt
from sync.wire.proofs import receipt_message

RECEIPT_COUNT_MAX = 4096
METHOD = "gateway"


class FalseReceiptError(Exception):
    """A statement that this unit's centre did not make, or not for this unit; the text says why."""


def genuine(signed: SignedReceipt, centre_key: bytes, unit_id: str) -> Receipt:
    """What the centre stated.

    Raises:
        FalseReceiptError: If the signature is not the centre's, or the statement is for another unit.
    """
    statement = from_base64(signed.statement)
    if not is_signed(centre_key, receipt_message(statement), from_base64(signed.signature)):
        raise FalseReceiptError("the signature is not the centre's")
    try:
        receipt = msgspec.json.decode(statement, type=Receipt)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FalseReceiptError("the statement cannot be understood") from error
    if receipt.unit_id != unit_id:
        raise FalseReceiptError("it is for another unit")
    return receipt


def evidence_of(receipt: Receipt, signed: SignedReceipt) -> Evidence:
    """As the unit keeps it: with what is needed to show, years later, who said what when."""
    return Evidence(
        method=METHOD,
        sha256=receipt.sha256,
        dataset_sha256=receipt.dataset_sha256,
        pixel_sha256=receipt.pixel_sha256,
        detail=(
            ("proof", receipt.method),
            ("pacs", receipt.pacs),
            ("verified_at", receipt.verified_at),
            ("epoch", receipt.epoch),
            ("statement", signed.statement),
            ("signature", signed.signature),
        ),
        epoch=receipt.epoch,
    )


class Receipts:
    """Genuine receipts of one destination; thread-safe."""

    def __init__(self, centre_key: bytes, unit_id: str) -> None:
        self._centre_key = centre_key
        self._unit_id = unit_id
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Evidence] = OrderedDict()

    def take_in(self, signed: SignedReceipt) -> Receipt | None:
        """Check and keep one; ``None``, with a line in the log, when it is not genuine."""
        try:
            receipt = genuine(signed, self._centre_key, self._unit_id)
        except FalseReceiptError as error:
            log("sync.gateway", "receipt refused", why=error)
            return None
        with self._lock:
            key = (receipt.sop_instance_uid, receipt.sha256)
            self._kept.pop(key, None)
            self._kept[key] = evidence_of(receipt, signed)
            while len(self._kept) > RECEIPT_COUNT_MAX:
                self._kept.popitem(last=False)
        return receipt

    def of(self, item: SendItem, epoch: str) -> Evidence | None:
        """The evidence for exactly this instance with these bytes, of this life of the centre."""
        with self._lock:
            found = self._kept.get((item.sop_instance_uid, item.sha256))
        return found if found is not None and found.epoch == epoch else None
