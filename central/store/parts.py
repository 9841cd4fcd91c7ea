"""Rows of parts and their chunks: how far each one is, and who may know of it.

A part's offset is what its chunks hold together, and only ``append_chunk`` moves it forward: conditionally, so that of
two writers at one offset one loses and nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from central.store.database import insert_missing
from central.store.tables import chunk, claim, garbage, part, part_unit
from sync.wire.messages import PartInfo, PartKind

UNKNOWN_SIZE = -1
IN_COUNT_MAX = 500
"""Values in one IN list: SQLite's bound is far above it, and plans stay small."""


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part as it stands."""

    sha256: str
    size_bytes: int
    offset_bytes: int
    complete: bool
    unpacked: bool
    bad_count: int
    kind: str
    restores_sha256: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a part in the object store."""

    offset_bytes: int
    size_bytes: int
    object_key: str


def batches(values: Iterable[str]) -> Iterable[list[str]]:
    """The distinct values in lists that fit an IN."""
    distinct = list(dict.fromkeys(values))
    for i in range(0, len(distinct), IN_COUNT_MAX):
        yield distinct[i : i + IN_COUNT_MAX]


def _row(found: Row[Any]) -> PartRow:
    return PartRow(
        found.sha256,
        found.size_bytes,
        found.offset_bytes,
        found.complete,
        found.unpacked,
        found.bad_count,
        found.kind,
        found.restores_sha256,
    )


def part_rows(connection: Connection, names: Iterable[str]) -> dict[str, PartRow]:
    """Those of ``names`` that exist."""
    found: dict[str, PartRow] = {}
    for some in batches(names):
        found |= {row.sha256: _row(row) for row in connection.execute(select(part).where(part.c.sha256.in_(some)))}
    return found


def part_row(connection: Connection, sha256: str) -> PartRow | None:
    """One part."""
    return part_rows(connection, [sha256]).get(sha256)


def may_append(connection: Connection, unit_id: str, sha256: str) -> bool:
    """Whether this unit named the part; to others it does not exist."""
    both = and_(part_unit.c.unit_id == unit_id, part_unit.c.sha256 == sha256)
    return connection.scalar(select(part_unit.c.sha256).where(both)) is not None


def name_parts(connection: Connection, unit_id: str, parts: Sequence[PartInfo], at: str) -> None:
    """A unit names parts: those nobody named before come into being, all become known to this unit."""
    insert_missing(
        connection,
        part,
        [
            {
                "sha256": one.sha256,
                "size_bytes": one.size_bytes,
                "kind": one.kind.value,
                "media_type": one.media_type[:64],
                "restores_sha256": one.restores_sha256[:64],
                "offset_bytes": 0,
                "complete": False,
                "unpacked": False,
                "bad_count": 0,
                "named_at": at,
                "changed_at": at,
            }
            for one in parts
        ],
    )
    insert_missing(connection, part_unit, [{"unit_id": unit_id, "sha256": one.sha256} for one in parts])
    _correct_sizes(connection, parts)


def _correct_sizes(connection: Connection, parts: Sequence[PartInfo]) -> None:
    """Who says another size of a part that is not complete is believed: the digest of the whole decides in the end.

    Otherwise the first to name a part, with a wrong size, could keep it from everybody.
    """
    known = part_rows(connection, [one.sha256 for one in parts])
    for one in parts:
        row = known[one.sha256]
        if row.complete or row.size_bytes == one.size_bytes:
            continue
        if row.offset_bytes > one.size_bytes:
            reset_part(connection, one.sha256)
        connection.execute(update(part).where(part.c.sha256 == one.sha256).values(size_bytes=one.size_bytes))


def open_part_count(connection: Connection, unit_id: str) -> int:
    """How many parts this unit named that are not complete."""
    joined = select(func.count()).select_from(part_unit.join(part, part.c.sha256 == part_unit.c.sha256))
    return int(connection.scalar(joined.where(part_unit.c.unit_id == unit_id, part.c.complete.is_(False))) or 0)


def create_part(connection: Connection, unit_id: str, sha256: str, size_bytes: int, at: str) -> PartRow:
    """A part created by upload and not by a manifest; ``UNKNOWN_SIZE`` leaves what is known of an older one."""
    if size_bytes != UNKNOWN_SIZE or part_row(connection, sha256) is None:
        name_parts(connection, unit_id, [PartInfo(sha256=sha256, size_bytes=size_bytes, kind=PartKind.PIXELS)], at)
    insert_missing(connection, part_unit, [{"unit_id": unit_id, "sha256": sha256}])
    return part_rows(connection, [sha256])[sha256]


def set_size(connection: Connection, sha256: str, size_bytes: int) -> None:
    """The length of a part became known during an append."""
    unknown = and_(part.c.sha256 == sha256, part.c.size_bytes == UNKNOWN_SIZE)
    connection.execute(update(part).where(unknown).values(size_bytes=size_bytes))


def append_chunk(connection: Connection, sha256: str, piece: Chunk, at: str) -> bool:
    """Count a chunk that is in the object store; ``False`` when the part is not at its offset any more."""
    here = and_(part.c.sha256 == sha256, part.c.offset_bytes == piece.offset_bytes, part.c.complete.is_(False))
    moved = connection.execute(
        update(part)
        .where(here)
        .values(
            offset_bytes=piece.offset_bytes + piece.size_bytes,
            changed_at=at,
            first_byte_at=func.coalesce(part.c.first_byte_at, at),
        )
    )
    if moved.rowcount != 1:
        return False
    values = {"offset_bytes": piece.offset_bytes, "size_bytes": piece.size_bytes, "object_key": piece.object_key}
    connection.execute(insert(chunk).values(sha256=sha256, **values))
    return True


def complete_part(connection: Connection, sha256: str, size_bytes: int, at: str) -> bool:
    """All its bytes are here and have its name; ``False`` when it moved meanwhile."""
    here = and_(part.c.sha256 == sha256, part.c.offset_bytes == size_bytes, part.c.complete.is_(False))
    done = connection.execute(
        update(part).where(here).values(complete=True, size_bytes=size_bytes, completed_at=at, changed_at=at)
    )
    return done.rowcount == 1


def chunks_of(connection: Connection, sha256: str) -> list[Chunk]:
    """The pieces of a part, in order."""
    pieces = select(chunk).where(chunk.c.sha256 == sha256).order_by(chunk.c.offset_bytes)
    return [Chunk(row.offset_bytes, row.size_bytes, row.object_key) for row in connection.execute(pieces)]


def throw_away(connection: Connection, object_keys: Iterable[str]) -> None:
    """These objects may be deleted from the object store."""
    insert_missing(connection, garbage, [{"object_key": key} for key in object_keys])


def some_garbage(connection: Connection, count_max: int) -> list[str]:
    """Keys of objects to delete."""
    return list(connection.scalars(select(garbage.c.object_key).limit(count_max)))


def known_objects(connection: Connection, object_keys: Iterable[str]) -> set[str]:
    """Those of these objects that a chunk names, or that are garbage already."""
    known: set[str] = set()
    for some in batches(object_keys):
        known.update(connection.scalars(select(chunk.c.object_key).where(chunk.c.object_key.in_(some))))
        known.update(connection.scalars(select(garbage.c.object_key).where(garbage.c.object_key.in_(some))))
    return known


def garbage_is_gone(connection: Connection, object_keys: Iterable[str]) -> None:
    """They were deleted from the object store."""
    for some in batches(object_keys):
        connection.execute(delete(garbage).where(garbage.c.object_key.in_(some)))


def reset_part(connection: Connection, sha256: str, *, bad: bool = False) -> None:
    """The part starts again at 0."""
    throw_away(connection, [piece.object_key for piece in chunks_of(connection, sha256)])
    connection.execute(delete(chunk).where(chunk.c.sha256 == sha256))
    connection.execute(
        update(part)
        .where(part.c.sha256 == sha256)
        .values(
            offset_bytes=0,
            complete=False,
            unpacked=False,
            first_byte_at=None,
            completed_at=None,
            bad_count=part.c.bad_count + (1 if bad else 0),
        )
    )


def rewind_part(connection: Connection, sha256: str, offset_bytes: int) -> None:
    """What was appended from an offset on is not kept."""
    later = [piece for piece in chunks_of(connection, sha256) if piece.offset_bytes >= offset_bytes]
    throw_away(connection, [piece.object_key for piece in later])
    connection.execute(delete(chunk).where(chunk.c.sha256 == sha256, chunk.c.offset_bytes >= offset_bytes))
    unfinished = and_(part.c.sha256 == sha256, part.c.complete.is_(False))
    connection.execute(update(part).where(unfinished).values(offset_bytes=offset_bytes))


def cancel_part(connection: Connection, unit_id: str, sha256: str) -> None:
    """A unit gives a part up: what is here of it goes when nobody else has named it and it is not complete.

    For this unit it does not exist from now on, unless a manifest of its names it.
    """
    others = select(part_unit.c.unit_id).where(part_unit.c.sha256 == sha256, part_unit.c.unit_id != unit_id)
    row = part_row(connection, sha256)
    if row is not None and not row.complete and connection.scalar(others.limit(1)) is None:
        reset_part(connection, sha256)
    named = or_(claim.c.header == sha256, claim.c.pixels == sha256, claim.c.preview == sha256)
    if connection.scalar(select(claim.c.file_id).where(claim.c.unit_id == unit_id, named).limit(1)) is None:
        mine = and_(part_unit.c.unit_id == unit_id, part_unit.c.sha256 == sha256)
        connection.execute(delete(part_unit).where(mine))
