"""Merging what a unit says of a study, and what the centre has of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Connection, Row, and_, or_, select, update

from central.store.database import insert_missing
from central.store.parts import batches, name_parts
from central.store.replacements import tell
from central.store.tables import claim, file, part, skeleton, study
from sync.wire.messages import InstanceInfo, InstanceState, Manifest, StudyInfo

STAT = "stat"
AnyRow: TypeAlias = Row[Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the centre has of one instance of a request."""

    file_id: int
    state: str
    header_known: bool
    pixels_known: bool
    preview_known: bool
    statement: bytes | None
    signature: bytes | None
    problem: str
    problem_code: str

    @property
    def may_be_whole(self) -> bool:
        """Whether it waits and seems to miss nothing."""
        return self.state == InstanceState.ANNOUNCED and self.header_known and self.pixels_known


def merge(connection: Connection, unit_id: str, study_uid: str, manifest: Manifest, at: str) -> list[int]:
    """Take in a manifest; the ids of its files, in its order.

    What it says is merged with what earlier ones of this unit said: a later revision replaces names of parts, an older
    one that comes late only fills what is empty.
    """
    newest = _merge_study(connection, unit_id, study_uid, manifest, at)
    name_parts(connection, unit_id, manifest.parts, at)
    ids = _files(connection, study_uid, manifest, at)
    _merge_claims(connection, unit_id, manifest, ids, at, newest=newest)
    tell(connection, unit_id, manifest.instances, at)
    return ids


def _merge_study(connection: Connection, unit_id: str, study_uid: str, manifest: Manifest, at: str) -> bool:
    """Whether this manifest is at least as new as every one before it."""
    mine = and_(study.c.unit_id == unit_id, study.c.study_instance_uid == study_uid)
    row = {"unit_id": unit_id, "study_instance_uid": study_uid, "announced_at": at, "changed_at": at}
    empty = {"revision": -1, "priority": "", "expected_instance_count": 0, "info": "{}"}
    insert_missing(connection, study, [row | empty])
    known = connection.execute(select(study).where(mine).with_for_update()).one()
    if manifest.revision < known.revision:
        return False
    said = {
        "revision": manifest.revision,
        "priority": STAT if manifest.priority == STAT else "routine",
        "expected_instance_count": manifest.expected_instance_count or known.expected_instance_count,
        "info": _merged_info(known.info, manifest.study),
        "changed_at": at,
    }
    connection.execute(update(study).where(mine).values(**said))
    return True


def _merged_info(known: str, said: StudyInfo) -> str:
    """What is said now, and for the rest what was said before."""
    before = msgspec.json.decode(known, type=StudyInfo)
    filled = {name: getattr(said, name) or getattr(before, name) for name in StudyInfo.__struct_fields__}
    return msgspec.json.encode(StudyInfo(**filled)).decode("utf-8")


def _files(connection: Connection, study_uid: str, manifest: Manifest, at: str) -> list[int]:
    """Rows of the instances, made where they are missing."""
    known = _known_files(connection, study_uid, manifest.instances)
    missing = [one for one in manifest.instances if (one.sop_instance_uid, one.sha256) not in known]
    if missing:
        insert_missing(connection, file, [_new_file(study_uid, one, at) for one in missing])
        known = _known_files(connection, study_uid, manifest.instances)
    ids = [known[one.sop_instance_uid, one.sha256] for one in manifest.instances]
    if manifest.priority == STAT:
        for some in batches(map(str, ids)):
            wanted = file.c.file_id.in_([int(i) for i in some])
            connection.execute(update(file).where(wanted, file.c.stat.is_(False)).values(stat=True))
    return ids


def _new_file(study_uid: str, one: InstanceInfo, at: str) -> dict[str, object]:
    return {
        "study_instance_uid": study_uid,
        "series_instance_uid": one.series_instance_uid,
        "sop_instance_uid": one.sop_instance_uid,
        "sop_class_uid": one.sop_class_uid,
        "transfer_syntax_uid": one.transfer_syntax_uid,
        "sha256": one.sha256,
        "size_bytes": one.size_bytes,
        "state": InstanceState.ANNOUNCED.value,
        "stat": False,
        "own_parts_only": False,
        "round_count": 0,
        "attempt_count": 0,
        "problem": "",
        "problem_code": "",
        "announced_at": at,
    }


def _known_files(
    connection: Connection, study_uid: str, instances: Iterable[InstanceInfo]
) -> dict[tuple[str, str], int]:
    known: dict[tuple[str, str], int] = {}
    for some in batches(one.sha256 for one in instances):
        wanted = and_(file.c.study_instance_uid == study_uid, file.c.sha256.in_(some))
        for row in connection.execute(select(file.c.file_id, file.c.sop_instance_uid, file.c.sha256).where(wanted)):
            known[row.sop_instance_uid, row.sha256] = row.file_id
    return known


def _merge_claims(
    connection: Connection, unit_id: str, manifest: Manifest, ids: list[int], at: str, *, newest: bool
) -> None:
    known = {row.file_id: row for row in _claims(connection, unit_id, ids)}
    for file_id, one in zip(ids, manifest.instances, strict=True):
        said = {"header": one.header, "pixels": one.pixels, "preview": one.preview}
        row = known.get(file_id)
        if row is None:
            base = {"unit_id": unit_id, "file_id": file_id, "announced_at": at, "no_pixels": one.no_pixels}
            insert_missing(connection, claim, [{**base, "revision": manifest.revision, **said}])
            continue
        changed: dict[str, object] = {key: value for key, value in said.items() if value and value != getattr(row, key)}
        if not newest:
            changed = {key: value for key, value in changed.items() if not getattr(row, key)}
        if one.no_pixels and not row.no_pixels:
            changed["no_pixels"] = True
        if changed:
            mine = and_(claim.c.unit_id == unit_id, claim.c.file_id == file_id)
            connection.execute(update(claim).where(mine).values(revision=manifest.revision, **changed))
            if {"header", "pixels", "no_pixels"} & set(changed):
                _try_again(connection, file_id)


def _try_again(connection: Connection, file_id: int) -> None:
    """Other parts are a new chance for a file whose own did not make it."""
    refused = and_(file.c.file_id == file_id, file.c.state == InstanceState.REFUSED.value)
    unfit = file.c.problem_code.in_(("parts-unfit", "rebuild-failed"))
    anew = {"state": InstanceState.ANNOUNCED.value, "round_count": 0, "problem": "", "problem_code": ""}
    connection.execute(update(file).where(refused, unfit).values(**anew))


def _claims(connection: Connection, unit_id: str, ids: Iterable[int]) -> list[AnyRow]:
    found: list[AnyRow] = []
    for some in batches(map(str, ids)):
        mine = and_(claim.c.unit_id == unit_id, claim.c.file_id.in_([int(i) for i in some]))
        found += connection.execute(select(claim).where(mine))
    return found


def standings(connection: Connection, unit_id: str, ids: list[int]) -> dict[int, Standing]:
    """What the centre has of these files, as far as this unit's claims go."""
    claims = _claims(connection, unit_id, ids)
    files = _file_rows(connection, ids)
    known = _known(connection, claims, files)
    found: dict[int, Standing] = {}
    for one in claims:
        row = files[one.file_id]
        verified = row.state == InstanceState.VERIFIED
        has = known[one.file_id]
        found[one.file_id] = Standing(
            one.file_id,
            row.state,
            has.header,
            has.pixels,
            has.preview,
            statement=one.statement if verified else None,
            signature=one.signature if verified else None,
            problem=row.problem,
            problem_code=row.problem_code,
        )
    return found


def verified_without_receipt(found: Mapping[int, Standing]) -> list[int]:
    """Files that are proved, and for which the unit has no receipt yet."""
    return [one.file_id for one in found.values() if one.state == InstanceState.VERIFIED and one.statement is None]


def unneeded(connection: Connection, unit_id: str, names: Iterable[str]) -> set[str]:
    """Those of ``names`` that every file of this unit that names them can do without; at least one must."""
    uses: dict[str, list[bool]] = {}
    for some in batches(names):
        wanted = set(some)
        named = or_(*(column.in_(some) for column in (claim.c.header, claim.c.pixels, claim.c.preview)))
        claims = list(connection.execute(select(claim).where(claim.c.unit_id == unit_id, named)))
        files = _file_rows(connection, [one.file_id for one in claims])
        known = _known(connection, claims, files)
        for one in claims:
            has = known[one.file_id]
            verified = files[one.file_id].state == InstanceState.VERIFIED
            for name, enough in ((one.header, has.header), (one.pixels, has.pixels), (one.preview, verified)):
                if name in wanted:
                    uses.setdefault(name, []).append(enough)
    return {name for name, enough in uses.items() if all(enough)}


@dataclass(frozen=True, slots=True)
class _Known:
    header: bool
    pixels: bool
    preview: bool


def _known(connection: Connection, claims: list[AnyRow], files: Mapping[int, AnyRow]) -> dict[int, _Known]:
    """What of each claimed file is here, by whatever part it came."""
    skeletons = _skeletons(connection, [row.sha256 for row in files.values()])
    anyhow = {sha for sha, _ in skeletons}
    complete, restored = _complete_parts(connection, [one.pixels for one in claims if one.pixels])
    previews, _ = _complete_parts(connection, [one.preview for one in claims if one.preview])
    found: dict[int, _Known] = {}
    for one in claims:
        row = files[one.file_id]
        verified = row.state == InstanceState.VERIFIED
        own = row.own_parts_only
        header = (row.sha256, one.header) in skeletons or (not own and row.sha256 in anyhow)
        pixels = one.no_pixels or one.pixels in complete or (not own and one.pixels in restored)
        found[one.file_id] = _Known(verified or header, verified or pixels, one.preview in previews)
    return found


def _file_rows(connection: Connection, ids: Iterable[int]) -> dict[int, AnyRow]:
    found: dict[int, AnyRow] = {}
    for some in batches(map(str, ids)):
        rows = connection.execute(select(file).where(file.c.file_id.in_([int(i) for i in some])))
        found |= {row.file_id: row for row in rows}
    return found


def _skeletons(connection: Connection, sha256s: Iterable[str]) -> set[tuple[str, str]]:
    """Which files' skeletons are in which complete header parts."""
    known: set[tuple[str, str]] = set()
    for some in batches(sha256s):
        rows = connection.execute(select(skeleton).where(skeleton.c.file_sha256.in_(some)))
        known |= {(row.file_sha256, row.header) for row in rows}
    return known


def _complete_parts(connection: Connection, names: Iterable[str]) -> tuple[set[str], set[str]]:
    """Those of ``names`` that are complete, and those whose pixels another complete part restores."""
    done: set[str] = set()
    restores: dict[str, str] = {}
    for some in batches(names):
        for row in connection.execute(select(part).where(part.c.sha256.in_(some))):
            if row.complete:
                done.add(row.sha256)
            elif row.restores_sha256:
                restores[row.sha256] = row.restores_sha256
    there: set[str] = set()
    for some in batches(restores.values()):
        same = and_(part.c.restores_sha256.in_(some), part.c.complete.is_(True))
        there |= set(connection.scalars(select(part.c.restores_sha256).where(same)))
    return done, {name for name, pixels in restores.items() if pixels in there}
