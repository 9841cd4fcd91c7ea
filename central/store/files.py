"""Rows of files on their way from parts to proof: which have all their parts, and what became of them.

``announced`` -> ``rebuilding`` -> ``verified`` or ``refused``; back to ``announced`` when a part turns out bad, when
the unit names other parts, or when the PACS has lost it. Every step may be done twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, or_, select, update

from central.store.database import insert_missing, take_turns
from central.store.parts import IN_COUNT_MAX, batches
from central.store.tables import claim, file, part, skeleton
from sync.wire.messages import InstanceState


@dataclass(frozen=True, slots=True)
class FileRow:
    """One instance to rebuild."""

    file_id: int
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    sha256: str
    size_bytes: int
    state: str
    stat: bool
    own_parts_only: bool
    round_count: int
    attempt_count: int
    problem: str
    problem_code: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """The complete parts that a file is rebuilt from; ``pixels`` is empty when the skeleton is the whole file."""

    header: str
    pixels: str
    own: bool
    """Whether both are the parts that a unit named for this file."""


_FIELDS = [file.c[name] for name in FileRow.__dataclass_fields__]


def file_rows(connection: Connection, file_ids: Sequence[int]) -> list[FileRow]:
    """These files."""
    found: list[FileRow] = []
    for i in range(0, len(file_ids), IN_COUNT_MAX):
        some = file.c.file_id.in_(file_ids[i : i + IN_COUNT_MAX])
        found += [FileRow(*row) for row in connection.execute(select(*_FIELDS).where(some))]
    return found


def recipe_of(connection: Connection, row: FileRow) -> Recipe | None:
    """Complete parts that together make the file, the unit's own first; ``None`` while something is missing."""
    claims = connection.execute(select(claim).where(claim.c.file_id == row.file_id)).all()
    holders = set(connection.scalars(select(skeleton.c.header).where(skeleton.c.file_sha256 == row.sha256)))
    named = {one.header for one in claims}
    for header in sorted(holders, key=lambda name: name not in named):
        own_header = header in named
        if not own_header and row.own_parts_only:
            continue
        for one in claims:
            if one.no_pixels:
                return Recipe(header, "", own_header)
            pixels = _pixels(connection, one.pixels, own_only=row.own_parts_only)
            if pixels:
                return Recipe(header, pixels, own_header and pixels == one.pixels)
    return None


def _pixels(connection: Connection, named: str, *, own_only: bool) -> str:
    """The named part when it is complete, else another complete one that restores the same pixels."""
    own = connection.execute(select(part).where(part.c.sha256 == named)).one_or_none() if named else None
    if own is None:
        return ""
    if own.complete:
        return named
    if own_only or not own.restores_sha256:
        return ""
    same = and_(part.c.restores_sha256 == own.restores_sha256, part.c.complete.is_(True))
    return connection.scalar(select(part.c.sha256).where(same).limit(1)) or ""


def headers_to_unpack(connection: Connection, names: Iterable[str] | None = None) -> list[str]:
    """Complete header parts whose skeletons are not known yet; of ``names``, or all."""
    base = select(part.c.sha256).distinct().join(claim, claim.c.header == part.c.sha256)
    base = base.where(part.c.complete.is_(True), part.c.unpacked.is_(False))
    if names is None:
        return list(connection.scalars(base))
    return [sha for some in batches(names) for sha in connection.scalars(base.where(part.c.sha256.in_(some)))]


def note_skeletons(connection: Connection, header: str, file_sha256s: Iterable[str]) -> None:
    """A header part was unpacked."""
    insert_missing(connection, skeleton, [{"file_sha256": sha, "header": header} for sha in file_sha256s])
    connection.execute(update(part).where(part.c.sha256 == header).values(unpacked=True))


def announced_with_skeleton(connection: Connection, header: str) -> list[FileRow]:
    """Files that wait and whose skeleton is in this header part."""
    waiting = select(*_FIELDS).join(skeleton, skeleton.c.file_sha256 == file.c.sha256)
    waiting = waiting.where(skeleton.c.header == header, file.c.state == InstanceState.ANNOUNCED.value)
    return [FileRow(*row) for row in connection.execute(waiting)]


def announced_with_part(connection: Connection, sha256: str) -> list[FileRow]:
    """Files that wait and that name this part, or another that restores the same pixels."""
    restores = connection.scalar(select(part.c.restores_sha256).where(part.c.sha256 == sha256)) or ""
    names = [sha256]
    if restores:
        names += connection.scalars(select(part.c.sha256).where(part.c.restores_sha256 == restores)).all()
    ids: list[int] = []
    for some in batches(names):
        ids += connection.scalars(select(claim.c.file_id).where(claim.c.pixels.in_(some)))
    return [row for row in file_rows(connection, ids) if row.state == InstanceState.ANNOUNCED]


def announced_naming_header(connection: Connection, header: str) -> list[FileRow]:
    """Files that wait, that name this header part, and whose skeleton is in none that is here."""
    known = select(skeleton.c.file_sha256)
    waiting = select(*_FIELDS).join(claim, claim.c.file_id == file.c.file_id)
    named = and_(claim.c.header == header, file.c.state == InstanceState.ANNOUNCED.value)
    return [FileRow(*row) for row in connection.execute(waiting.where(named, file.c.sha256.not_in(known)))]


def rebuilding_with_part(connection: Connection, sha256: str) -> list[FileRow]:
    """Files under way that may be made of this part."""
    named = select(claim.c.file_id).where(or_(claim.c.header == sha256, claim.c.pixels == sha256))
    under_way = and_(file.c.state == InstanceState.REBUILDING.value, file.c.file_id.in_(named))
    return [FileRow(*row) for row in connection.execute(select(*_FIELDS).where(under_way))]


def forget_skeletons(connection: Connection, header: str) -> None:
    """This header part is not whole any more."""
    connection.execute(delete(skeleton).where(skeleton.c.header == header))


def start_what_is_whole(connection: Connection, rows: Iterable[FileRow], at: str) -> list[int]:
    """Move those that have all their parts to ``rebuilding``."""
    take_turns(connection, "wholeness")  # the last two parts may come at once: one of them must see the other
    whole = [row.file_id for row in rows if recipe_of(connection, row) is not None]
    if whole:
        here = and_(file.c.file_id.in_(whole), file.c.state == InstanceState.ANNOUNCED.value)
        moved = {"state": InstanceState.REBUILDING.value, "complete_at": at, "problem": "", "problem_code": ""}
        connection.execute(update(file).where(here).values(**moved))
    return whole


def rebuilding(connection: Connection, count_max: int, without: Iterable[int]) -> list[FileRow]:
    """The next files to rebuild: urgent ones first, then those tried least often, then by age."""
    skip = set(without)
    waiting = select(*_FIELDS).where(file.c.state == InstanceState.REBUILDING.value)
    waiting = waiting.order_by(file.c.stat.desc(), file.c.attempt_count, file.c.file_id).limit(count_max + len(skip))
    return [row for row in (FileRow(*found) for found in connection.execute(waiting)) if row.file_id not in skip][
        :count_max
    ]


def note_rebuilt(connection: Connection, file_id: int, at: str) -> None:
    """Its bytes were rebuilt and have its digest."""
    connection.execute(update(file).where(file.c.file_id == file_id).values(rebuilt_at=at))


def note_attempt(connection: Connection, file_id: int, code: str) -> None:
    """It did not work this time."""
    counted = {"attempt_count": file.c.attempt_count + 1, "problem_code": code}
    stands = file.c.superseded_at.is_(None)
    connection.execute(update(file).where(file.c.file_id == file_id, stands).values(**counted))


def note_round(connection: Connection, file_id: int) -> None:
    """It ended its worker."""
    connection.execute(update(file).where(file.c.file_id == file_id).values(round_count=file.c.round_count + 1))


def is_rebuilding(connection: Connection, file_id: int) -> bool:
    """Whether it still is; the row is locked until the transaction ends, so that only one process settles it."""
    state = select(file.c.state).where(file.c.file_id == file_id).with_for_update()
    return connection.scalar(state) == InstanceState.REBUILDING.value


def note_verified(connection: Connection, file_id: int, evidence: str, at: str) -> None:
    """The PACS proved that it holds it."""
    done = {"state": InstanceState.VERIFIED.value, "verified_at": at, "evidence": evidence}
    connection.execute(update(file).where(file.c.file_id == file_id).values(problem="", problem_code="", **done))


def note_refused(connection: Connection, file_id: int, code: str, sentence: str) -> None:
    """It needs a person."""
    refused = {"state": InstanceState.REFUSED.value, "problem_code": code, "problem": sentence}
    stands = file.c.superseded_at.is_(None)
    connection.execute(update(file).where(file.c.file_id == file_id, stands).values(**refused))


def back_to_announced(
    connection: Connection, file_id: int, *, round_count: int | None = None, own_parts_only: bool | None = None
) -> None:
    """Its parts are looked at anew, unless a later content took its place."""
    values: dict[str, object] = {"state": InstanceState.ANNOUNCED.value, "verified_at": None, "rebuilt_at": None}
    if round_count is not None:
        values["round_count"] = round_count
    if own_parts_only is not None:
        values["own_parts_only"] = own_parts_only
    stands = file.c.superseded_at.is_(None)
    connection.execute(update(file).where(file.c.file_id == file_id, stands).values(**values))
