"""Lines of the screen as plain text, pure: fixed columns for lists, parts joined to the width there is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from appliance.domain import display, sentences
from appliance.domain.snapshot import LinkRow, Snapshot, StudyRow, StudyState
from appliance.domain.values import LinkState

NARROW_CELLS = 64
NAME_CELLS_MAX = 40
SEPARATOR = " · "
CURSOR = "›"


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells, each with its trailing blank; 0 leaves a column out. Together at most the list's width."""

    stat: int
    time: int
    name: int
    patient_id: int
    modality: int
    images: int
    state: int

    @property
    def short(self) -> bool:
        """Whether states are shown in their short words."""
        return self.time == 0


def columns(width: int) -> Columns:
    """Fixed columns for a list of ``width`` cells; only the name's column takes what is left, up to a bound."""
    if width < NARROW_CELLS:
        fixed = Columns(stat=7, time=0, name=0, patient_id=0, modality=0, images=0, state=15)
    else:
        fixed = Columns(stat=7, time=6, name=0, patient_id=11, modality=4, images=5, state=24)
    taken = len(CURSOR) + fixed.stat + fixed.time + fixed.patient_id + fixed.modality + fixed.images + fixed.state
    return Columns(
        fixed.stat,
        fixed.time,
        max(min(width - taken, NAME_CELLS_MAX), 0),
        fixed.patient_id,
        fixed.modality,
        fixed.images,
        fixed.state,
    )


def header_line(width: int) -> str:
    """The names of the columns."""
    names = ("", "Time", "Name", "ID", "Mod", "Img", "State")
    return display.fit(" " + _cells(columns(width), names), width)


def study_line(study: StudyRow, width: int, selected: bool, now_s: float, zone: tzinfo) -> str:
    """One study, exactly ``width`` cells; the selected one carries a mark, so that colour is not needed to find it."""
    widths = columns(width)
    arrived = sentences.clock_time(study.last_received_at, zone, now_s)
    values = (
        sentences.STAT_MARK if study.stat else "",
        arrived if len(arrived) <= len("09:12") else arrived[5:10],
        display.person_name(study.patient_name),
        display.safe_text(study.patient_id),
        display.safe_text(study.modality),
        str(study.instance_count),
        sentences.study_state(study, short=widths.short),
    )
    return display.fit((CURSOR if selected else " ") + _cells(widths, values), width)


def join_to_width(parts: Iterable[str], width: int) -> tuple[str, ...]:
    """Lines of at most ``width`` cells; a part is cut only when it alone is too long."""
    lines: list[str] = []
    for part in parts:
        if lines and display.cell_width(lines[-1] + SEPARATOR + part) <= width:
            lines[-1] += SEPARATOR + part
        else:
            lines.append(part if display.cell_width(part) <= width else display.fit(part, width))
    return tuple(lines)


def queue_lines(snapshot: Snapshot, now_s: float, zone: tzinfo, study_count_max: int) -> tuple[str, ...]:
    """Links, then who goes next and why each waits; at most ``study_count_max`` studies."""
    lines = [link_line(link, snapshot, now_s, zone) for link in snapshot.links]
    if not lines:
        lines = ["No centre has been contacted yet. Nothing is lost: everything received is stored here."]
    waiting = sentences.unsent(snapshot.studies)
    ahead_count = 0
    for position, study in enumerate(waiting[:study_count_max], start=1):
        stat = f"{sentences.STAT_MARK} " if study.stat else ""
        why = sentences.why_waiting(study, snapshot.links, ahead_count)
        lines.append(f"{position}. {stat}{display.person_name(study.patient_name)} - {why}")
        ahead_count += study.state in (StudyState.QUEUED, StudyState.SENDING)
    more_count = max(snapshot.unsafe_study_count, len(waiting)) - min(len(waiting), study_count_max)
    if more_count > 0:
        lines.append(f"and {sentences.studies(more_count)} more")
    return tuple(lines)


def link_line(link: LinkRow, snapshot: Snapshot, now_s: float, zone: tzinfo) -> str:
    """The link's sentence with the key that tries at once."""
    hint = "or press F5" if link.state is LinkState.DOWN else ""
    return sentences.link_line(link, snapshot.unsafe_study_count, now_s, zone, hint=hint)


def patient_banner(study: StudyRow) -> str:
    """Name, ID, sex, birth date: always these, always in this order (``ux.md`` 10)."""
    parts = (
        display.person_name(study.patient_name),
        f"ID {display.safe_text(study.patient_id) or '(none)'}",
        display.safe_text(study.patient_sex) or "sex (none)",
        f"born {iso_date(study.patient_birth_date) or '(none)'}",
    )
    return SEPARATOR.join(parts)


def iso_date(dicom_date: str) -> str:
    """``19840312`` as ``1984-03-12``; what is no DICOM date is shown as it is, made safe."""
    if len(dicom_date) == 8 and dicom_date.isascii() and dicom_date.isdigit():
        return f"{dicom_date[:4]}-{dicom_date[4:6]}-{dicom_date[6:]}"
    return display.safe_text(dicom_date)


def _cells(widths: Columns, values: tuple[str, ...]) -> str:
    """Each value in its column, with at least one blank after it."""
    sizes = (
        widths.stat,
        widths.time,
        widths.name,
        widths.patient_id,
        widths.modality,
        widths.images,
        widths.state,
    )
    return "".join(display.fit(value, cells - 1) + " " for value, cells in zip(values, sizes, strict=True) if cells > 0)
