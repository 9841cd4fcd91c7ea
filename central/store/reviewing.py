"""Rows of the review list: made of the gateway's tables, searched by people, changed by what they do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, func, insert, select, update
from sqlalchemy.orm import aliased

from central.store.database import insert_missing
from central.store.parts import batches
from central.store.review_tables import review_event, review_study
from central.store.tables import claim, file, part, study, unit
from sync.wire.messages import InstanceState

_ON_THE_WAY = (InstanceState.ANNOUNCED.value, InstanceState.REBUILDING.value)


@dataclass(frozen=True, slots=True)
class Announced:
    """What one unit said of a study."""

    unit_id: str
    study_instance_uid: str
    stat: bool
    expected_instance_count: int
    info: str
    announced_at: str
    changed_at: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Images of a study, counted over all units; what a correction replaced is left out."""

    image_count: int
    whole_count: int
    verified_count: int
    refused_count: int
    preview_count: int
    size_bytes: int
    here_bytes: int
    arrived_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a list shows; empty fields filter nothing."""

    unit_id: str = ""
    modality: str = ""
    state: str = "open"
    """A state, ``open`` (not read) or ``all``."""
    day: str = ""
    """Study date, ``YYYYMMDD``."""
    words: tuple[str, ...] = ()
    """Folded; each begins a word of name, number or accession number."""
    patient_key: str = ""
    page: int = 1


# --- following the gateway -----------------------------------------------------------------------------------------


def changed_studies(connection: Connection, since: str, settled: Sequence[str]) -> tuple[set[str], str]:
    """Studies whose row may be stale, and the newest time of change.

    Those that a manifest changed since (all, for an empty ``since``), those with images on their way, and those whose
    row does not say yet that it is over.
    """
    told = select(study.c.study_instance_uid).where(study.c.changed_at >= since)
    moving = select(file.c.study_instance_uid).where(file.c.state.in_(_ON_THE_WAY), file.c.superseded_at.is_(None))
    unsettled = select(review_study.c.study_instance_uid).where(review_study.c.state.not_in(settled))
    found = {uid for wanted in (told, moving.distinct(), unsettled) for uid in connection.scalars(wanted)}
    return found, connection.scalar(select(func.max(study.c.changed_at))) or ""


def announced(connection: Connection, uids: Sequence[str]) -> dict[str, list[Announced]]:
    """What units said, the first to tell of a study first."""
    found: dict[str, list[Announced]] = {}
    wanted = select(study).where(study.c.study_instance_uid.in_(uids))
    for row in connection.execute(wanted.order_by(study.c.announced_at, study.c.unit_id)):
        found.setdefault(row.study_instance_uid, []).append(
            Announced(
                row.unit_id,
                row.study_instance_uid,
                row.priority == "stat",
                row.expected_instance_count,
                row.info,
                row.announced_at,
                row.changed_at,
            )
        )
    return found


def tallies(connection: Connection, uids: Sequence[str]) -> dict[str, Tally]:
    """How far the images of these studies are."""
    pixels, header, preview = aliased(part), aliased(part), aliased(part)
    whole = file.c.complete_at.is_not(None)
    one = (
        select(
            file.c.study_instance_uid,
            file.c.size_bytes,
            file.c.state,
            file.c.verified_at,
            case((whole, 1), else_=0).label("whole"),
            func.max(case((preview.c.complete.is_(True), 1), else_=0)).label("preview"),
            func.max(func.coalesce(pixels.c.offset_bytes, 0)).label("pixels_here"),
            func.max(func.coalesce(pixels.c.size_bytes, 0)).label("pixels_all"),
            func.max(case((claim.c.no_pixels.is_(True), header.c.offset_bytes), else_=0)).label("header_here"),
            func.max(case((claim.c.no_pixels.is_(True), header.c.size_bytes), else_=0)).label("header_all"),
        )
        .join(claim, claim.c.file_id == file.c.file_id, isouter=True)
        .join(pixels, pixels.c.sha256 == claim.c.pixels, isouter=True)
        .join(header, header.c.sha256 == claim.c.header, isouter=True)
        .join(preview, preview.c.sha256 == claim.c.preview, isouter=True)
        .where(file.c.study_instance_uid.in_(uids), file.c.superseded_at.is_(None))
        .group_by(file.c.file_id, file.c.study_instance_uid, file.c.size_bytes, file.c.state, file.c.verified_at, whole)
        .subquery()
    )
    here = case(
        (one.c.whole == 1, one.c.size_bytes * 1.0),
        (one.c.pixels_all > 0, one.c.size_bytes * 1.0 * one.c.pixels_here / one.c.pixels_all),
        (one.c.header_all > 0, one.c.size_bytes * 1.0 * one.c.header_here / one.c.header_all),
        else_=0.0,
    )
    verified, refused = (
        func.sum(case((one.c.state == state.value, 1), else_=0))
        for state in (InstanceState.VERIFIED, InstanceState.REFUSED)
    )
    wanted = select(
        one.c.study_instance_uid,
        func.count(),
        func.sum(one.c.whole),
        verified,
        refused,
        func.sum(one.c.preview),
        func.sum(one.c.size_bytes),
        func.sum(here),
        func.max(one.c.verified_at),
    ).group_by(one.c.study_instance_uid)
    found = {}
    for (
        uid,
        count,
        whole_count,
        verified_count,
        refused_count,
        preview_count,
        size_bytes,
        here_bytes,
        at,
    ) in connection.execute(wanted):
        found[uid] = Tally(
            count, whole_count, verified_count, refused_count, preview_count, int(size_bytes), int(here_bytes), at
        )
    return found


def known_rows(connection: Connection, uids: Sequence[str]) -> dict[str, Row[Any]]:
    """Rows of the list, as they stand."""
    wanted = select(review_study).where(review_study.c.study_instance_uid.in_(uids))
    return {row.study_instance_uid: row for row in connection.execute(wanted)}


def put_rows(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make or change rows; all get the next version."""
    version = newest_version(connection) + 1
    people = {"raised": False, "reader": ""}
    for row in rows:
        uid = row["study_instance_uid"]
        insert_missing(connection, review_study, [{**people, **row, "version": version}])
        mine = review_study.c.study_instance_uid == uid
        connection.execute(update(review_study).where(mine).values(**row, version=version))


def newest_version(connection: Connection) -> int:
    """Of the last change of any row; 0 before the first."""
    return connection.scalar(select(func.max(review_study.c.version))) or 0


# --- the list ------------------------------------------------------------------------------------------------------


def _filtered(wanted: Wanted) -> Any:
    row = review_study.c
    rules = []
    if wanted.state == "open":
        rules.append(row.rank < 2)
    elif wanted.state != "all":
        rules.append(row.state == wanted.state)
    if wanted.unit_id:
        rules.append(row.unit_id == wanted.unit_id)
    if wanted.modality:
        rules.append(row.modality == wanted.modality)
    if wanted.day:
        rules.append(row.study_date == wanted.day)
    if wanted.patient_key:
        rules.append(row.patient_key == wanted.patient_key)
    rules += [row.search.like(f"% {word}%") for word in wanted.words]
    return and_(*rules) if rules else True


def list_statement(wanted: Wanted, row_count: int) -> Select[Any]:
    """One page, with the unit's name; urgent first, then the oldest; of the read ones the newest."""
    newest_first = wanted.state == "read" or wanted.patient_key
    key = review_study.c.sort_at.desc() if newest_first else review_study.c.sort_at
    order = (key,) if wanted.patient_key else (review_study.c.rank, key)
    named = select(review_study, unit.c.name.label("unit_name"))
    named = named.join(unit, unit.c.unit_id == review_study.c.unit_id, isouter=True)
    shown = named.where(_filtered(wanted)).order_by(*order, review_study.c.study_instance_uid)
    return shown.limit(row_count).offset((wanted.page - 1) * row_count)


def list_page(connection: Connection, wanted: Wanted, row_count: int) -> tuple[list[Row[Any]], int]:
    """The rows of one page, and how many there are in all."""
    count = connection.scalar(select(func.count()).select_from(review_study).where(_filtered(wanted))) or 0
    return list(connection.execute(list_statement(wanted, row_count))), count


def modalities(connection: Connection) -> list[str]:
    """Every modality on the list."""
    found = select(review_study.c.modality).where(review_study.c.modality != "").distinct()
    return sorted(connection.scalars(found))


def unit_names(connection: Connection) -> list[tuple[str, str]]:
    """Id and name of every unit."""
    return [(row.unit_id, row.name) for row in connection.execute(select(unit).order_by(unit.c.name))]


# --- one study -----------------------------------------------------------------------------------------------------


def study_row(connection: Connection, uid: str) -> Row[Any] | None:
    """A study's row, with the unit's name."""
    named = select(review_study, unit.c.name.label("unit_name"))
    named = named.join(unit, unit.c.unit_id == review_study.c.unit_id, isouter=True)
    return connection.execute(named.where(review_study.c.study_instance_uid == uid)).one_or_none()


def milestones(connection: Connection, uid: str) -> Any:
    """When the study's images passed the gateway: first and last of each."""
    pixels, preview = aliased(part), aliased(part)
    return connection.execute(
        select(
            func.min(file.c.announced_at).label("announced_at"),
            func.min(preview.c.completed_at).label("preview_at"),
            func.min(pixels.c.first_byte_at).label("first_byte_at"),
            func.max(file.c.complete_at).label("whole_at"),
            func.max(file.c.verified_at).label("verified_at"),
        )
        .join(claim, claim.c.file_id == file.c.file_id, isouter=True)
        .join(pixels, pixels.c.sha256 == claim.c.pixels, isouter=True)
        .join(preview, preview.c.sha256 == claim.c.preview, isouter=True)
        .where(file.c.study_instance_uid == uid)
    ).one()


def problems(connection: Connection, uid: str) -> list[Row[Any]]:
    """Images that need a person, with the gateway's sentence."""
    refused = and_(file.c.study_instance_uid == uid, file.c.state == InstanceState.REFUSED.value)
    wanted = select(file.c.sop_instance_uid, file.c.problem, file.c.problem_code)
    return list(connection.execute(wanted.where(refused, file.c.superseded_at.is_(None)).limit(100)))


def add_event(connection: Connection, uid: str, at: str, kind: str, who: str = "", text: str = "") -> None:
    """Something that people did with a study, for its history."""
    row = {"study_instance_uid": uid, "at": at, "kind": kind, "who": who, "text": text}
    connection.execute(insert(review_event).values(**row))


def events(connection: Connection, uid: str) -> list[Row[Any]]:
    """What people did, the oldest first."""
    mine = select(review_event).where(review_event.c.study_instance_uid == uid)
    return list(connection.execute(mine.order_by(review_event.c.at, review_event.c.event_id)))


def units_of(connection: Connection, uids: Iterable[str]) -> dict[str, list[str]]:
    """The units that announced each of these studies."""
    found: dict[str, list[str]] = {}
    for some in batches(uids):
        wanted = select(study.c.study_instance_uid, study.c.unit_id).where(study.c.study_instance_uid.in_(some))
        for uid, unit_id in connection.execute(wanted.order_by(study.c.announced_at)):
            found.setdefault(uid, []).append(unit_id)
    return found


def search_text(*folded: str) -> str:
    """What ``Wanted.words`` are looked for in: every word has a blank before it."""
    return " " + " ".join(text for text in folded if text)


def people_did(connection: Connection, uid: str, **values: object) -> bool:
    """Note on a study's row what people did (``read_at``, ``reader``, ``raised``); ``False`` when there is none.

    The words that follow from it are made by ``central.review.follow.refresh``, in the same transaction.
    """
    mine = review_study.c.study_instance_uid == uid
    return connection.execute(update(review_study).where(mine).values(**values)).rowcount == 1
