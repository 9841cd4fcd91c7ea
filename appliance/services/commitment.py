"""Storage Commitment: a request is checked and durable before it is acknowledged (PS3.4 section J.3.2)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from appliance.services.data_sets import items_of, text_of
from appliance.services.step_rules import Refusal, is_uid
from appliance.store import commitments
from appliance.store.commitments import Reference
from appliance.store.connect import Store, write

NO_SUCH_SOP_INSTANCE = 0x0112
INVALID_ARGUMENT_VALUE = 0x0115
NO_SUCH_ACTION = 0x0123
RESOURCE_LIMITATION = 0x0213

_IN_USE = Refusal(INVALID_ARGUMENT_VALUE, "this Transaction UID is in use for other instances")


class BadRequestError(ValueError):
    """The action information is no commitment request; ``refusal`` is the answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.comment)
        self.refusal = refusal


def read_request(data_set: Dataset, reference_count_max: int) -> tuple[str, tuple[Reference, ...]]:
    """Transaction UID and references of an N-ACTION's data set.

    Raises:
        BadRequestError: If a UID is missing or malformed, or there are no references or too many.
    """
    transaction_uid = text_of(data_set, "TransactionUID")
    items = list(items_of(data_set, "ReferencedSOPSequence"))
    if not is_uid(transaction_uid):
        raise BadRequestError(Refusal(INVALID_ARGUMENT_VALUE, "TransactionUID is missing or malformed"))
    if len(items) > reference_count_max:
        raise BadRequestError(Refusal(RESOURCE_LIMITATION, f"more than {reference_count_max} references"))
    references = tuple(
        Reference(text_of(item, "ReferencedSOPClassUID"), text_of(item, "ReferencedSOPInstanceUID")) for item in items
    )
    if not references:
        raise BadRequestError(Refusal(INVALID_ARGUMENT_VALUE, "ReferencedSOPSequence is missing or empty"))
    if not all(is_uid(r.sop_class_uid) and is_uid(r.sop_instance_uid) for r in references):
        raise BadRequestError(Refusal(INVALID_ARGUMENT_VALUE, "a reference without SOP Class and Instance UID"))
    return transaction_uid, references


def ask(
    db: Store, calling_ae_title: str, called_ae_title: str, transaction_uid: str, references: tuple[Reference, ...]
) -> tuple[int, Refusal | None]:
    """Record a request; the same one again makes its report due again.

    Returns:
        Its id, and why it was refused, if it was.

    Raises:
        StoreError: If it could not be recorded.
    """
    with write(db):
        known = commitments.find_request(db, transaction_uid, calling_ae_title)
        if known is None:
            request_id = commitments.keep_request(
                db, db.stamp(), transaction_uid, calling_ae_title, called_ae_title, references
            )
            return request_id, None
        if known.references != references:
            return known.request_id, _IN_USE
        commitments.ask_again(db, db.stamp(), known)
    return known.request_id, None


def report_of(transaction_uid: str, references: tuple[Reference, ...], reasons: tuple[int, ...]) -> tuple[int, Dataset]:
    """Event type and event information of a report (PS3.4 table J.3-2): 1 all committed, 2 failures exist."""
    report = Dataset()
    report.TransactionUID = transaction_uid
    committed, failed = [], []
    for reference, reason in zip(references, reasons, strict=True):
        item = Dataset()
        item.ReferencedSOPClassUID = reference.sop_class_uid
        item.ReferencedSOPInstanceUID = reference.sop_instance_uid
        if reason == commitments.COMMITTED:
            committed.append(item)
        else:
            item.FailureReason = reason
            failed.append(item)
    if committed:
        report.ReferencedSOPSequence = committed
    if failed:
        report.FailedSOPSequence = failed
    return (2 if failed else 1), report
