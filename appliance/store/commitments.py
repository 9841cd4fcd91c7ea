"""What devices asked us to answer for, and how far the answer has come (Storage Commitment, PS3.4 annex J).

A request is committed before it is acknowledged; from then on it stays open until the device has acknowledged the
report, however often that must be repeated. Which instances can be answered for is judged elsewhere
(``appliance.services.judging``), anew for each attempt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.store import journal
from appliance.store.connect import Store, read, write
from appliance.store.stamp import Stamp

COMMITTED = 0
NOT_JUDGED = -1


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance that a device wants to delete its own copy of."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Request:
    """One Transaction UID of one device, with what it is about in the device's order."""

    request_id: int
    transaction_uid: str
    calling_ae_title: str
    called_ae_title: str
    """Our title as the device knows it."""
    state: str
    """``open``, ``delivered`` or ``given-up``."""
    attempt_count: int
    references: tuple[Reference, ...]
    wait_count: int = 0
    """Pauses begun for images that are not here yet."""
    wait_boot_id: str = ""
    wait_until_mono_s: float = 0.0
    """When the last of them ends, in that boot."""


def find_request(db: Store, transaction_uid: str, calling_ae_title: str) -> Request | None:
    """The request of that name from that device."""
    found = _requests(
        db, "transaction_uid = ? AND calling_ae_title = ?", (transaction_uid, calling_ae_title), with_references=True
    )
    return found[0] if found else None


def open_requests(db: Store) -> tuple[Request, ...]:
    """Requests whose report the device has not acknowledged, oldest first; without their references."""
    return _requests(db, "state = 'open'", (), with_references=False)


def read_request(db: Store, request_id: int) -> Request | None:
    """One request, with its references."""
    found = _requests(db, "request_id = ?", (request_id,), with_references=True)
    return found[0] if found else None


def keep_request(
    db: Store,
    stamp: Stamp,
    transaction_uid: str,
    calling_ae_title: str,
    called_ae_title: str,
    references: Sequence[Reference],
) -> int:
    """Record a new request; its id.

    Raises:
        StoreError: ``refused`` when this device used the Transaction UID before; the caller asks first.
    """
    with write(db):
        request_id = db.insert(
            """INSERT INTO commitment_request (transaction_uid, calling_ae_title, called_ae_title, requested_at)
                VALUES (?, ?, ?, ?)""",
            (transaction_uid, calling_ae_title, called_ae_title, stamp.at),
        )
        db.change(
            """INSERT INTO commitment_reference (request_id, position, sop_class_uid, sop_instance_uid)
                SELECT ?, key, value ->> 0, value ->> 1 FROM json_each(?)""",
            (request_id, json.dumps([(r.sop_class_uid, r.sop_instance_uid) for r in references])),
        )
        _note(db, stamp, transaction_uid, "asked", "", "open", calling_ae_title, f"instance_count={len(references)}")
    return request_id


def ask_again(db: Store, stamp: Stamp, request: Request) -> None:
    """The device repeats its request: it has not heard the report, or wants it once more.

    A pause ends; that others were made already counts as long as no report was given, or a device that repeats itself
    often would never hear of an image that does not come.
    """
    with write(db):
        db.change(
            """UPDATE commitment_request SET state = 'open', attempt_count = 0, wait_boot_id = '',
                wait_count = iif(state = 'open', wait_count, 0) WHERE request_id = ?""",
            (request.request_id,),
        )
        _note(db, stamp, request.transaction_uid, "asked again", request.state, "open", request.calling_ae_title)


def begin_wait(db: Store, request_id: int, boot_id: str, until_mono_s: float) -> None:
    """Record a pause for images that are not here yet, so that a restart neither ends nor repeats it."""
    with write(db):
        db.change(
            """UPDATE commitment_request SET wait_count = wait_count + 1, wait_boot_id = ?, wait_until_mono_s = ?
                WHERE request_id = ?""",
            (boot_id, until_mono_s, request_id),
        )


def begin_attempt(db: Store, stamp: Stamp, request_id: int, failure_reasons: Sequence[int]) -> None:
    """Record what the report about to be sent says of each reference, in their order; ``COMMITTED`` or a reason."""
    with write(db):
        db.change(
            "UPDATE commitment_request SET attempt_count = attempt_count + 1, attempted_at = ? WHERE request_id = ?",
            (stamp.at, request_id),
        )
        db.change(
            """UPDATE commitment_reference SET failure_reason = judged.value
                FROM json_each(?) AS judged WHERE request_id = ? AND position = judged.key""",
            (json.dumps(list(failure_reasons)), request_id),
        )


def end_attempt(db: Store, stamp: Stamp, request: Request, failure_code: str, *, give_up: bool = False) -> None:
    """Record how an attempt ended; an empty code: the device has acknowledged the report."""
    after = "given-up" if give_up else "open" if failure_code else "delivered"
    with write(db):
        db.change(
            "UPDATE commitment_request SET state = ?, failure_code = ?, delivered_at = ? WHERE request_id = ?",
            (after, failure_code, "" if failure_code else stamp.at, request.request_id),
        )
        if after != "open":
            _note(db, stamp, request.transaction_uid, "reported", "open", after, request.calling_ae_title, failure_code)


def failure_reasons(db: Store, request_id: int) -> tuple[int, ...]:
    """What the last report said of each reference, in their order."""
    rows = db.rows(
        "SELECT failure_reason FROM commitment_reference WHERE request_id = ? ORDER BY position", (request_id,)
    )
    return tuple(reason for (reason,) in rows)


def _requests(db: Store, where: str, parameters: tuple[object, ...], *, with_references: bool) -> tuple[Request, ...]:
    with read(db):
        rows = db.rows(
            f"""SELECT request_id, transaction_uid, calling_ae_title, called_ae_title, state, attempt_count,
                    wait_count, wait_boot_id, wait_until_mono_s
                FROM commitment_request WHERE {where} ORDER BY request_id""",  # noqa: S608 - our own conditions
            parameters,
        )
        return tuple(
            Request(
                request_id=row[0],
                transaction_uid=row[1],
                calling_ae_title=row[2],
                called_ae_title=row[3],
                state=row[4],
                attempt_count=row[5],
                references=_references(db, row[0]) if with_references else (),
                wait_count=row[6],
                wait_boot_id=row[7],
                wait_until_mono_s=row[8],
            )
            for row in rows
        )


def _references(db: Store, request_id: int) -> tuple[Reference, ...]:
    rows = db.rows(
        "SELECT sop_class_uid, sop_instance_uid FROM commitment_reference WHERE request_id = ? ORDER BY position",
        (request_id,),
    )
    return tuple(Reference(*row) for row in rows)


def _note(
    db: Store, stamp: Stamp, transaction_uid: str, event: str, before: str, after: str, actor: str, detail: str = ""
) -> None:
    journal.append(
        db,
        stamp,
        subject="commitment",
        subject_id=transaction_uid,
        event=event,
        from_state=before,
        to_state=after,
        actor=actor,
        detail=detail,
    )
