"""What the study page says, as lines; pure: findings, pictures, and what happened, each chosen by an id."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING

from appliance.domain import display, sentences
from appliance.domain.matching import DOUBT_SENTENCES, Doubt
from appliance.domain.quality import Severity
from appliance.domain.snapshot import InstanceRow, Snapshot, StudyRow
from appliance.domain.values import JournalEntry, LocalState
from appliance.domain.wording import Wording, counted, joined, stored, told
from tui import text
from tui.language import say, spoken
from tui.reader import StudyDetail
from tui.widgets.items import Item

if TYPE_CHECKING:
    from appliance.store.revisions import Correction

IMAGE_COUNT_MAX = 400
JOURNAL_COUNT_MAX = 40
MARK, FINDING, IMAGE, ACTION, JOURNAL = "■", "finding", "image", "action", "journal"
"""Of ids: ``image:UID``, ``finding:UID:frame:code``."""
LOCAL_WORDS = {
    LocalState.PRESENT: told("on this unit"),
    LocalState.EVICTED: told("pixels removed here"),
    LocalState.MISSING: told("! missing here"),
    LocalState.CORRUPT: told("! damaged here"),
}
SEVERITY_WORDS = {
    Severity.NOTICE: told("· notice"),
    Severity.WARNING: told("! WARNING"),
    Severity.ALARM: told("✖ ALARM"),
}
ACTION_WORDS: dict[str, Wording] = {
    "correct": told("Corrected"),
    "reconcile": told("Given to another exam"),
    "split": told("Split off to another patient"),
    "merge": told("Records made one"),
    "reject": told("Rejected"),
}
ATTRIBUTE_WORDS: dict[str, Wording] = {
    "PatientName": told("Patient's name"),
    "PatientID": told("Patient ID"),
    "PatientBirthDate": told("Birth date"),
    "PatientSex": told("Sex"),
    "AccessionNumber": told("Accession number"),
    "StudyDescription": told("Description"),
    "ReferringPhysicianName": told("Asked by"),
    "BodyPartExamined": told("Body part"),
    "Laterality": told("Side of the body part"),
    "ImageLaterality": told("Side of the picture"),
    "ViewPosition": told("View"),
}


def summary(study: StudyRow, snapshot: Snapshot) -> list[str]:
    """State, what it is, and why it waits."""
    described = display.safe_text(study.study_description) or say("(no description)")
    when = text.iso_date(study.study_date) or say("(no date)")
    counts = say(
        "{images}, {size}, {count} on this unit",
        images=counted(study.instance_count, "image", "images"),
        size=sentences.size(study.size_bytes),
        count=study.on_disk_count,
    )
    urgent = f"{sentences.STAT_MARK} " if study.stat else ""
    lines = [
        f"{urgent}{say(sentences.study_state(study))}{text.SEPARATOR}{counts}",
        f"{display.safe_text(study.modality)} {described}, {when}, "
        + say("accession {number}", number=accession(study)),
    ]
    waiting = [row.study_instance_uid for row in sentences.unsent(snapshot.studies)]
    ahead_count = waiting.index(study.study_instance_uid) if study.study_instance_uid in waiting else 0
    why = sentences.why_waiting(study, snapshot.links, ahead_count)
    return [*lines, *([say(why)] if why else []), *(say(sentences.progress_line(one)) for one in study.progress)]


def accession(study: StudyRow) -> str:
    """The accession number, safe to show."""
    return display.safe_text(study.accession_number) or say("(none)")


def doubt_line(doubt: str) -> str:
    """Why it is not clear whose these pictures are; empty when it is."""
    if not doubt:
        return ""
    known = doubt in set(Doubt)
    sentence = DOUBT_SENTENCES.get(Doubt(doubt)) if known else None
    return say("! Whose is it? {sentence}", sentence=sentence or stored(doubt))


def items(detail: StudyDetail, marked: Collection[str], now_s: float, zone: tzinfo) -> list[Item]:
    """All lines below the summary."""
    numbers = {one.sop_instance_uid: number for number, one in enumerate(detail.instances, 1)}
    found = [*_findings(detail, numbers), *_images(detail, marked, now_s, zone)]
    return [*found, *_actions(detail, now_s, zone), *_history(detail.journal, detail, now_s, zone)]


def _heading(title: Wording) -> Item:
    return Item("", say(title), is_heading=True)


def _findings(detail: StudyDetail, numbers: dict[str, int]) -> list[Item]:
    if not detail.findings:
        return []
    from appliance.quality.sentences import Language, sentence

    language: Language = "fr" if spoken() == "fr" else "ar" if spoken() == "ar" else "en"
    lines = [_heading(told("TO LOOK AT"))]
    for one in detail.findings:
        said = display.safe_text(sentence(one.check_code, one.values, language))
        where = say("image {number}", number=numbers.get(one.sop_instance_uid, 0))
        frame = _first_number(str(one.values.get("frames", "")))
        item_id = f"{FINDING}:{one.sop_instance_uid}:{frame}:{one.check_code}"
        style = "dim" if one.severity is Severity.NOTICE else "bold"
        lines.append(Item(item_id, f"{say(SEVERITY_WORDS[one.severity])} {said} [{where}]", style=style))
    return lines


def _first_number(value: str) -> int:
    digits = ""
    for char in value:
        if char.isdecimal():
            digits += char
        elif digits:
            break
    return int(digits or 1)


def _images(detail: StudyDetail, marked: Collection[str], now_s: float, zone: tzinfo) -> list[Item]:
    noted = {one.sop_instance_uid for one in detail.findings if one.severity is not Severity.NOTICE}
    shown = detail.instances[:IMAGE_COUNT_MAX]
    lines = [_heading(told("IMAGES"))]
    for number, one in enumerate(shown, 1):
        uid = one.sop_instance_uid
        code = detail.reject_codes.get(uid)
        said = _rejected(code) if code is not None else _image(one)
        flags = f"{MARK if uid in marked else ' '}{'!' if uid in noted else ' '}"
        at = sentences.clock_time(one.received_at, zone, now_s)
        lines.append(Item(f"{IMAGE}:{uid}", f"{flags}{number:>2}  {at}  {said}", style="dim" if code else ""))
    if len(detail.instances) > len(shown):
        lines.append(_heading(told("and {count} more", count=len(detail.instances) - len(shown))))
    return lines


def _image(one: InstanceRow) -> str:
    states = [joined(": ", (item.destination, sentences.item_state(item.state))) for item in one.items]
    return say(
        "{size} from {device}, {where} · {states}",
        size=sentences.size(one.size_bytes),
        device=display.safe_text(one.calling_ae_title),
        where=LOCAL_WORDS[one.local_state],
        states=joined(", ", states or [told("nothing queued")]),
    )


def _rejected(code: str) -> str:
    return say("rejected, kept here: {reason}", reason=reject_sentence(code))


def reject_sentence(code: str) -> Wording:
    """Of the list of reasons; the word itself for one of a later release."""
    from appliance.corrections.reasons import REASONS

    return stored(REASONS[code].sentence) if code in REASONS else stored(code)


def _actions(detail: StudyDetail, now_s: float, zone: tzinfo) -> list[Item]:
    lines = [_heading(told("WHAT PEOPLE CHANGED, newest first"))] if detail.actions else []
    for one in reversed(detail.actions):
        at = sentences.clock_time(one.at, zone, now_s)
        who = _who(one.actor, detail)
        why = f" - {say(stored(display.safe_text(one.reason)))}" if one.reason else ""
        undone = text.SEPARATOR + say("taken back by {who}", who=_who(one.undone_by, detail)) if one.undone_at else ""
        said = f"{at}  {say(ACTION_WORDS.get(one.kind, stored(one.kind)))}{_what(one)} ({who}){why}{undone}"
        lines.append(Item(f"{ACTION}:{one.action_id}", said, style="dim" if one.undone_at else ""))
    return lines


def _what(one: Correction) -> str:
    """What it says now, and what it said before."""
    if one.kind == "reject":
        return f": {say(reject_sentence(str(one.after.get('reason_code', ''))))}"
    values = one.after.get("values", {})
    before: Mapping[str, str] = next(iter(one.before.get("images", {}).values()), {})
    parts = []
    for keyword, value in values.items():
        if keyword not in ATTRIBUTE_WORDS:
            continue
        was = _value(keyword, str(before.get(keyword, "")))
        now = _value(keyword, str(value))
        if was != now:
            word = say(ATTRIBUTE_WORDS[keyword])
            parts.append(say("{what} {now} (was {was})", what=word, now=now or "-", was=was or "-"))
    return f": {', '.join(parts)}" if parts else ""


def _value(keyword: str, value: str) -> str:
    if keyword == "PatientName":
        return text.name_of(value) if value else ""
    return text.iso_date(value) if keyword == "PatientBirthDate" else display.safe_text(value)


def _who(actor: str, detail: StudyDetail) -> str:
    return display.safe_text(detail.names.get(actor, actor))


def _history(journal: tuple[JournalEntry, ...], detail: StudyDetail, now_s: float, zone: tzinfo) -> list[Item]:
    lines = [_heading(told("HISTORY, newest first"))]
    for one in journal[:JOURNAL_COUNT_MAX]:
        at = sentences.clock_time(one.at, zone, now_s)
        said = f"{at}  {display.safe_text(sentences.journal_move(one))} ({_who(one.actor, detail)})"
        lines.append(Item(f"{JOURNAL}:{one.seq}", said, style="dim"))
    return lines
