"""Previews as they arrived, for whoever shows studies before their pixels are in the PACS."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import Connection, select

from central.gateway.objects import Objects
from central.store.database import Database
from central.store.parts import Chunk, chunks_of
from central.store.tables import claim, file, part

PREVIEW_BYTES_MAX = 1024 * 1024
"""A unit sends 60 kB at most; what claims to be a preview and is larger is not shown."""


@dataclass(frozen=True, slots=True)
class PreviewRef:
    """A preview that is here, whole."""

    sop_instance_uid: str
    sha256: str
    size_bytes: int
    media_type: str
    """As the unit says it; never served without a check."""
    arrived_at: str


def previews_of(connection: Connection, study_uid: str) -> list[PreviewRef]:
    """The previews of a study that have arrived, in the order of their instances."""
    joined = select(file.c.sop_instance_uid, part).join(claim, claim.c.file_id == file.c.file_id)
    joined = joined.join(part, part.c.sha256 == claim.c.preview).distinct()
    here = joined.where(
        file.c.study_instance_uid == study_uid,
        file.c.superseded_at.is_(None),
        part.c.complete.is_(True),
        part.c.size_bytes <= PREVIEW_BYTES_MAX,
    )
    return [
        PreviewRef(row.sop_instance_uid, row.sha256, row.size_bytes, row.media_type, row.completed_at or "")
        for row in connection.execute(here.order_by(file.c.sop_instance_uid))
    ]


async def preview_bytes(database: Database, objects: Objects, ref: PreviewRef) -> bytes:
    """Its bytes; they were checked against their name when they arrived.

    Raises:
        ObjectError: If the object store does not give them.
    """
    pieces: list[Chunk] = await database.reading(chunks_of, ref.sha256)

    def read() -> bytes:
        return b"".join(data for piece in pieces for data in objects.read(piece.object_key))

    return await asyncio.to_thread(read)
