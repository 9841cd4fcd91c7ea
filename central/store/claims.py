"""Rows of claims: which units named a file, and the receipts they got for it."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, and_, select, update

from appliance.domain.values import Evidence
from central.store.files import FileRow, file_rows
from central.store.parts import batches
from central.store.tables import claim, file
from sync.wire.messages import InstanceState


def claims_of(connection: Connection, file_id: int) -> list[str]:
    """The units that named this file."""
    return list(connection.scalars(select(claim.c.unit_id).where(claim.c.file_id == file_id)))


def set_receipt(connection: Connection, unit_id: str, file_id: int, statement: bytes, signature: bytes) -> None:
    """What this unit gets whenever it asks."""
    mine = and_(claim.c.unit_id == unit_id, claim.c.file_id == file_id)
    connection.execute(update(claim).where(mine).values(statement=statement, signature=signature))


def drop_receipts(connection: Connection, file_id: int) -> None:
    """The file is not in the PACS any more: nobody is told so again before it is."""
    connection.execute(update(claim).where(claim.c.file_id == file_id).values(statement=None, signature=None))


def unreceipted(connection: Connection, unit_id: str, file_ids: list[int]) -> list[int]:
    """Verified files for which this unit has no receipt yet."""
    found: list[int] = []
    for some in batches(map(str, file_ids)):
        late = and_(
            claim.c.unit_id == unit_id,
            claim.c.file_id.in_([int(i) for i in some]),
            claim.c.statement.is_(None),
            file.c.state == InstanceState.VERIFIED.value,
        )
        found += connection.scalars(select(file.c.file_id).join(claim, claim.c.file_id == file.c.file_id).where(late))
    return found


def stored_evidence(connection: Connection, file_id: int) -> Evidence | None:
    """What the PACS showed when the file was verified."""
    text = connection.scalar(select(file.c.evidence).where(file.c.file_id == file_id))
    return msgspec.json.decode(text, type=Evidence) if text else None


def claimed_file(
    connection: Connection, unit_id: str, study_uid: str, sop_instance_uid: str, sha256: str
) -> FileRow | None:
    """A file that this unit named."""
    named = select(file.c.file_id).join(claim, claim.c.file_id == file.c.file_id)
    same = and_(
        claim.c.unit_id == unit_id,
        file.c.study_instance_uid == study_uid,
        file.c.sop_instance_uid == sop_instance_uid,
        file.c.sha256 == sha256,
    )
    found = connection.scalar(named.where(same))
    return file_rows(connection, [found])[0] if found is not None else None
