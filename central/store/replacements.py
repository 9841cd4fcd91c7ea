"""What took the place of what: contents of an instance that a unit corrected, and what that means for their files.

A replacement is for ever: a content that was replaced is never put into the PACS again, however late it comes. Only who
brought a content may replace it; of what nobody here remembers, the digest in the PACS decides (``gateway.replacing``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, and_, exists, or_, select, update

from appliance.domain.values import Evidence
from central.store.claims import drop_receipts
from central.store.database import insert_missing
from central.store.files import FileRow
from central.store.parts import batches
from central.store.tables import claim, file, replacement
from sync.wire.messages import InstanceInfo, InstanceState

SUPERSEDED = "superseded"
SENTENCE = "A later correction of this picture took its place at the centre. It is safe here and waits for a person."


@dataclass(frozen=True, slots=True)
class Replaced:
    """The earlier contents of one instance: their file digests, and what the PACS showed of those that it held."""

    sha256s: tuple[str, ...] = ()
    evidences: tuple[Evidence, ...] = ()


def tell(connection: Connection, unit_id: str, instances: Iterable[InstanceInfo], at: str) -> None:
    """Take in what a unit says of corrections, and end whatever is under way with contents that are replaced now.

    Also for files that are named late: call it when their rows are there.
    """
    told = list(instances)
    for one in told:
        if one.replaces and not _is_replaced(connection, one.sop_instance_uid, one.sha256):
            mine = [sha for sha in one.replaces if sha != one.sha256 and _may_replace(connection, unit_id, one, sha)]
            row = {"sop_instance_uid": one.sop_instance_uid, "unit_id": unit_id, "told_at": at}
            insert_missing(connection, replacement, [{**row, "sha256": sha} for sha in mine])
    for some in batches(one.sop_instance_uid for one in told):
        _supersede(connection, some, at)


def replaced_by(connection: Connection, row: FileRow) -> Replaced:
    """What this file may take the place of."""
    of_instance = select(replacement.c.sha256).where(replacement.c.sop_instance_uid == row.sop_instance_uid)
    sha256s = tuple(sha for sha in connection.scalars(of_instance) if sha != row.sha256)
    if not sha256s:
        return Replaced()
    same = and_(
        file.c.sop_instance_uid == row.sop_instance_uid, file.c.sha256.in_(sha256s), file.c.evidence.is_not(None)
    )
    texts = connection.scalars(select(file.c.evidence).where(same))
    return Replaced(sha256s, tuple(msgspec.json.decode(text, type=Evidence) for text in texts))


def is_superseded(connection: Connection, file_id: int) -> bool:
    """Whether a later content took its place."""
    code = select(file.c.problem_code).where(file.c.file_id == file_id)
    return connection.scalar(code) == SUPERSEDED


def latest_of(connection: Connection, row: FileRow) -> list[int]:
    """The verified files of the same instance that nothing replaced."""
    same = and_(file.c.sop_instance_uid == row.sop_instance_uid, file.c.study_instance_uid == row.study_instance_uid)
    proved = file.c.state == InstanceState.VERIFIED.value
    return list(connection.scalars(select(file.c.file_id).where(same, proved, file.c.file_id != row.file_id)))


def _is_replaced(connection: Connection, uid: str, sha256: str) -> bool:
    told = and_(replacement.c.sop_instance_uid == uid, replacement.c.sha256 == sha256)
    return connection.scalar(select(replacement.c.sha256).where(told)) is not None


def _may_replace(connection: Connection, unit_id: str, one: InstanceInfo, sha256: str) -> bool:
    """Whether this unit brought that content, or nobody did."""
    named = select(claim.c.unit_id).join(file, file.c.file_id == claim.c.file_id)
    named = named.where(file.c.sop_instance_uid == one.sop_instance_uid, file.c.sha256 == sha256)
    units = set(connection.scalars(named))
    return not units or unit_id in units


def _supersede(connection: Connection, uids: list[str], at: str) -> None:
    told = exists().where(
        replacement.c.sop_instance_uid == file.c.sop_instance_uid, replacement.c.sha256 == file.c.sha256
    )
    stands = or_(file.c.state != InstanceState.REFUSED.value, file.c.problem_code != SUPERSEDED)
    ids = list(connection.scalars(select(file.c.file_id).where(file.c.sop_instance_uid.in_(uids), told, stands)))
    for file_id in ids:
        ended = {"state": InstanceState.REFUSED.value, "problem_code": SUPERSEDED, "problem": SENTENCE}
        connection.execute(update(file).where(file.c.file_id == file_id).values(superseded_at=at, **ended))
        drop_receipts(connection, file_id)
