"""MPPS: a step is created or set in one transaction that is durable before the answer goes out."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from appliance.services import step_rules
from appliance.services.data_sets import DataSetError, changed, to_bytes
from appliance.services.step_rules import NO_LONGER, Refusal, is_uid
from appliance.store import performed
from appliance.store.connect import Store, write

_DUPLICATE = Refusal(step_rules.DUPLICATE_SOP_INSTANCE, "another step of this UID is on record")
_UNKNOWN = Refusal(step_rules.NO_SUCH_SOP_INSTANCE, "no step of this UID is on record")
_UNREADABLE = Refusal(step_rules.PROCESSING_FAILURE, "the data set cannot be read")
_NO_UID = Refusal(step_rules.INVALID_ATTRIBUTE_VALUE, "the SOP Instance UID is malformed")


def create(db: Store, calling_ae_title: str, step_uid: str, data_set: Dataset) -> tuple[str, Refusal | None]:
    """N-CREATE; a repeat of what is on record is as good as the first.

    Args:
        db: The unit's database.
        calling_ae_title: Who says so.
        step_uid: The step's SOP Instance UID; empty: it gets one here (PS3.7 section 10.1.5.1.4).
        data_set: The attribute list.

    Returns:
        The step's UID, and why it was refused, if it was.

    Raises:
        StoreError: If it could not be recorded.
    """
    step_uid = step_uid or str(generate_uid(prefix=None))
    if not is_uid(step_uid):
        return step_uid, _NO_UID
    try:
        data = to_bytes(data_set)
    except DataSetError:
        return step_uid, _UNREADABLE
    with write(db):
        known = performed.find_step(db, step_uid)
        if known is not None:
            return step_uid, None if known.created_data_set == data else _DUPLICATE
        refusal = step_rules.check_created(data_set)
        if refusal is None:
            content = step_rules.content_of(data_set)
            performed.create_step(db, db.stamp(), step_uid, calling_ae_title, content, data)
    return step_uid, refusal


def set_(db: Store, calling_ae_title: str, step_uid: str, changes: Dataset) -> Refusal | None:
    """N-SET; a repeat of the last one is as good as the first, also when that one ended the step.

    Args:
        db: The unit's database.
        calling_ae_title: Who says so.
        step_uid: The step's SOP Instance UID.
        changes: The modification list.

    Returns:
        Why it was refused, if it was.

    Raises:
        StoreError: If it could not be recorded.
    """
    try:
        data = to_bytes(changes)
    except DataSetError:
        return _UNREADABLE
    with write(db):
        known = performed.find_step(db, step_uid)
        if known is None:
            return _UNKNOWN
        if known.last_set_data_set == data:
            return None
        if known.state.is_final:
            return NO_LONGER
        try:
            whole = changed(known.data_set, changes)
            whole_data = to_bytes(whole)
        except DataSetError:
            return _UNREADABLE
        refusal = step_rules.check_changed(whole)
        if refusal is None:
            content = step_rules.content_of(whole)
            performed.set_step(db, db.stamp(), known, calling_ae_title, content, data, whole_data)
    return refusal
