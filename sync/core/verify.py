"""When a destination's statement is proof for an item; anything else leaves the item unproved.

A receipt about another destination, another instance or other bytes proves nothing, however confident it sounds.
"""

from __future__ import annotations

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import OutboxItem, Receipt

METHODS = frozenset({"wado", "commitment", "move", "gateway"})
"""Ways of proof that count; each adapter's module says what it compares."""


def receipt_fault(item: OutboxItem, receipt: Receipt, epoch: str = "") -> Failure | None:
    """Why ``receipt`` does not prove that the destination holds ``item``; ``None`` when it does.

    ``epoch`` is what the centre calls its life now; empty where it has no name, then a receipt of any counts.
    """
    if receipt.destination != item.destination:
        return _fault("receipt-destination", "The receipt is from another destination.")
    if receipt.sop_instance_uid != item.sop_instance_uid:
        return _fault("receipt-instance", "The receipt is for another image.")
    if not item.sha256 or receipt.sha256 != item.sha256:
        return _fault("receipt-digest", "The receipt is for other content than was kept here.")
    if receipt.evidence.sha256 != item.sha256:
        return _fault("receipt-evidence", "What the destination showed is about other content than was kept here.")
    if receipt.evidence.method not in METHODS:
        return _fault("receipt-method", "The destination proved it in a way that is not accepted here.")
    if epoch and receipt.evidence.epoch != epoch:
        return _fault("receipt-epoch", "The receipt is from before the centre was restored from a backup.")
    return None


def _fault(code: str, sentence: str) -> Failure:
    return Failure(FailureKind.TRANSIENT, code, f"{sentence} It is checked again.")
