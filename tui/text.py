"""Lines of the screen as plain text, pure: fixed columns for lists, parts joined to the width there is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from appliance.domain import display, sentences
from appliance.domain.registration import Patient
from appliance.domain.snapshot import LinkRow, Snapshot, StudyRow, StudyState
from appliance.domain.values import LinkState
from appliance.domain.wording import told
from appliance.registration.duplicates import REASON_WORDS, Likeness
from tui import arabic
from tui.language import say, spoken

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
    names = ("", say("Time"), say("Name"), say("ID"), say("Mod"), say("Img"), say("State"))
    return display.fit(" " + _cells(columns(width), names), width)


def study_line(study: StudyRow, width: int, selected: bool, now_s: float, zone: tzinfo) -> str:
    """One study, exactly ``width`` cells; the selected one carries a mark, so that colour is not needed to find it."""
    widths = columns(width)
    arrived = sentences.clock_time(study.last_received_at, zone, now_s)
    values = (
        sentences.STAT_MARK if study.stat else "",
        arrived if len(arrived) <= len("09:12") else arrived[5:10],
        name_of(study.patient_name),
        display.safe_text(study.patient_id),
        display.safe_text(study.modality),
        str(study.instance_count or "-"),
        say(sentences.study_state(study, short=widths.short)),
    )
    return display.fit((CURSOR if selected else " ") + _cells(widths, values), width)


def _delivery_cells(width: int) -> tuple[int, ...]:
    """Widths of name, size, state and when; the name takes what is left."""
    size, state, when = (9, 24, 20) if width >= NARROW_CELLS else (0, 15, 0)
    stat = 7
    return stat, max(min(width - len(CURSOR) - stat - size - state - when, NAME_CELLS_MAX), 0), size, state, when


def delivery_header(width: int) -> str:
    """The names of the columns of the delivery page."""
    names = ("", say("Name"), say("Size"), say("State"), say("At the centre in"))
    return display.fit(" " + _in_columns(_delivery_cells(width), names), width)


def delivery_line(study: StudyRow, width: int, selected: bool, now_s: float, zone: tzinfo) -> str:
    """One study of the queue, exactly ``width`` cells."""
    values = (
        sentences.STAT_MARK if study.stat else "",
        name_of(study.patient_name),
        sentences.size(study.size_bytes),
        say(sentences.study_state(study, short=width < NARROW_CELLS)),
        say(sentences.study_eta(study)),
    )
    cells = _in_columns(_delivery_cells(width), values)
    return display.fit((CURSOR if selected else " ") + cells, width)


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
    lines = link_lines(snapshot, now_s, zone)
    waiting = sentences.unsent(snapshot.studies)
    ahead_count = 0
    for position, study in enumerate(waiting[:study_count_max], start=1):
        stat = f"{sentences.STAT_MARK} " if study.stat else ""
        why = say(sentences.why_waiting(study, snapshot.links, ahead_count))
        lines.append(f"{position}. {stat}{name_of(study.patient_name)} - {why}")
        ahead_count += study.state in (StudyState.QUEUED, StudyState.SENDING)
    more_count = max(snapshot.unsafe_study_count, len(waiting)) - min(len(waiting), study_count_max)
    if more_count > 0:
        lines.append(say("and {studies} more", studies=sentences.studies(more_count)))
    return tuple(lines)


def link_lines(snapshot: Snapshot, now_s: float, zone: tzinfo) -> list[str]:
    """Every link, and what hours and budgets keep back."""
    lines = [link_line(link, snapshot, now_s, zone) for link in snapshot.links]
    if not lines:
        lines = [say("No centre has been contacted yet. Nothing is lost: everything received is stored here.")]
    return [*lines, *map(say, snapshot.waits)]


def link_line(link: LinkRow, snapshot: Snapshot, now_s: float, zone: tzinfo) -> str:
    """The link's sentence with the key that tries at once."""
    hint = told("or press F5") if link.state is LinkState.DOWN else ""
    return say(sentences.link_line(link, snapshot.unsafe_study_count, now_s, zone, hint=hint))


def patient_banner(study: StudyRow) -> str:
    """Latin name, Arabic name, ID, sex, birth date: always these, always in this order (``ux.md`` 10)."""
    latin, in_arabic = display.name_in_scripts(study.patient_name)
    none = say("(none)")
    parts = (
        latin or (say("(no Latin name)") if in_arabic else say("(no name)")),
        in_arabic if arabic.arabic_can_be_shown() else say(display.ARABIC_NAME) if in_arabic else "",
        say("ID {number}", number=display.safe_text(study.patient_id) or none),
        display.safe_text(study.patient_sex) or say("sex (none)"),
        say("born {date}", date=iso_date(study.patient_birth_date) or none),
    )
    return SEPARATOR.join(part for part in parts if part)


def name_of(stored: str) -> str:
    """A DICOM PN value for a list: the Latin name, else the Arabic one where this terminal can show it; logical."""
    latin, in_arabic = display.name_in_scripts(stored)
    if latin or not in_arabic:
        return latin or say("(no name)")
    return in_arabic if arabic.arabic_can_be_shown() else say(display.ARABIC_NAME)


def likeness_line(one: Likeness) -> str:
    """A known person who may be the one being entered, with what speaks for it; logical."""
    reasons = ", ".join(say(REASON_WORDS[reason]) for reason in one.reasons)
    return f"{person_line(one.patient)} - {reasons}"


def person_line(patient: Patient) -> str:
    """A record: the unit's number, name, sex, birth date; logical."""
    details, name = patient.details, patient.details.name
    latin = ", ".join(part for part in (name.family_latin, name.given_latin) if part)
    in_arabic = " ".join(part for part in (name.family_arabic, name.given_arabic) if part)
    born = iso_date(details.birth_date) or details.age_text or "-"
    known_by = [display.safe_text(latin), in_arabic if arabic.arabic_can_be_shown() else "", details.sex or "-", born]
    return SEPARATOR.join(part for part in (patient.unit_id, *known_by) if part)


def cell(value: str, width: int) -> str:
    """``value`` in exactly ``width`` cells, its Arabic shaped and turned after the cut."""
    fitted = display.fit(value, width).rstrip()
    turned = arabic.visual(fitted, whole_line=spoken() == "ar")
    return turned + " " * (width - display.cell_width(turned))


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
    return _in_columns(sizes, values)


def _in_columns(sizes: tuple[int, ...], values: tuple[str, ...]) -> str:
    return "".join(cell(value, cells - 1) + " " for value, cells in zip(values, sizes, strict=True) if cells > 0)
