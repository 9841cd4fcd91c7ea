"""What people do about whose pictures these are, asked step by step over the study page; Esc leaves at any step.

Each way ends in one confirmation that names patient, ID and count, with Cancel as its default, and calls the same
function as the ``qafila`` command of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from appliance.domain import display
from appliance.domain.wording import Wording, counted, joined, stored, told
from tui import text
from tui.actions import Action, Reason, Situation, needs_supervisor
from tui.language import say
from tui.reader import ReadTrouble
from tui.screens import study_lines as lines
from tui.screens.ask import Ask
from tui.screens.menu import Choice, Confirm, Menu

if TYPE_CHECKING:
    from appliance.corrections.actions import Done
    from appliance.store.revisions import Correction
    from tui.screens.study import StudyPage
    from tui.services import Desk

T = TypeVar("T")
OTHER = "other"
WHY: dict[str, Wording] = {
    "typing": told("It was typed wrongly."),
    "console": told("The wrong person was chosen on the device."),
    "switched": told("The last patient was still on the device."),
    "side": told("The side was marked wrongly."),
    "papers": told("The papers say so."),
}
"""Reasons that are kept in the history in English, and shown in the language of the screen."""
_CHOICES: dict[str, tuple[tuple[str, Wording], ...]] = {
    "PatientSex": (("F", told("Female")), ("M", told("Male")), ("O", told("Other"))),
    "Laterality": (("L", told("Left")), ("R", told("Right")), ("B", told("Both sides"))),
    "ImageLaterality": (("L", told("Left")), ("R", told("Right")), ("B", told("Both sides"))),
}
_NOTES: dict[str, Wording] = {
    "PatientName": told("Family name^given name, as on the papers."),
    "PatientBirthDate": told("Year, month, day: 1984-03-12."),
    "ViewPosition": told("As the device says it: AP, PA, LL, RL ..."),
}
_COLUMNS = {
    "PatientName": "patient_name",
    "PatientID": "patient_id",
    "PatientBirthDate": "patient_birth_date",
    "PatientSex": "patient_sex",
    "AccessionNumber": "accession_number",
    "StudyDescription": "study_description",
}
_BUSY = told("something is being written")
_NO_DESK = told("nothing is corrected on this screen")
_NO_IMAGE = told("no image that counts is chosen")
_NO_FINDING = told("nothing was found")


class Corrections:
    """One page's."""

    def __init__(self, page: StudyPage) -> None:
        self._page = page
        self._is_busy = False

    def blocked(self, action: Action, situation: Situation) -> Reason | None:
        """Why not now, empty when it can be done; ``None`` for actions that are not judged here."""
        detail = self._page.detail
        if action.action_id == "problem":
            return "" if detail and detail.findings else _NO_FINDING
        if action.action_id in ("look", "mark"):
            if not self._page.is_ready or not self._page.chosen_image:
                return told("no image is chosen")
            no_previews = action.action_id == "look" and self._page.host.services.previews is None
            return told("no pictures can be drawn here") if no_previews else ""
        if action.action_id == "undo":
            return None if situation.undo_offered or self._last_standing() is None else self._reason(situation)
        if action.action_id == "reject":
            return self._reason(situation) or ("" if self._page.is_ready and self._page.images else _NO_IMAGE)
        return self._reason(situation) if action.action_id == "correct" else None

    def _reason(self, situation: Situation) -> Reason:
        if self._page.host.services.desk is None or self._page.detail is None:
            return _NO_DESK
        return _BUSY if self._is_busy else ""

    @property
    def _desk(self) -> Desk:
        desk = self._page.host.services.desk
        assert desk is not None, "blocked without it"
        return desk

    # --- what can be chosen ----------------------------------------------------------------------------------------

    def choose(self) -> None:
        """The menu of all that can be corrected."""
        self._flow(self._choose)

    def reject(self) -> None:
        """A reason, then the confirmation."""
        self._flow(self._reject)

    def undo(self) -> None:
        """A command of the last ten seconds, else the last correction that stands."""
        if self._page.host.undo_offered:
            self._page.host.do_undo()
        else:
            self._flow(self._undo)

    def _flow(self, steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._page.run_worker(steps(), group="correcting", exclusive=True)

    async def _choose(self) -> None:
        images, situation = self._page.images, self._page.host.situation
        split = told("{images} of it belong to another patient", images=counted(len(images), "image", "images"))
        choices = [
            Choice("reconcile", told("It belongs to another exam")),
            Choice("correct", told("Something that it says is wrong")),
            Choice("split", split, "" if images else _NO_IMAGE),
            Choice("merge", told("Its patient is registered twice"), needs_supervisor(situation)),
        ]
        chosen = await self._ask(Menu(told("What is to be corrected?"), choices))
        ways = {"reconcile": self._reconcile, "correct": self._correct, "split": self._split, "merge": self._merge}
        if chosen:
            await ways[chosen]()

    async def _reject(self) -> None:
        from appliance.corrections.reasons import REASONS

        images = self._page.images
        choices = [Choice(code, stored(one.sentence)) for code, one in REASONS.items()]
        note = told("They are kept, marked, and not sent any more.")
        code = await self._ask(Menu(self._title(told("Reject"), len(images)), choices, note=note))
        if not code:
            return
        because = "" if code != OTHER else await self._ask(Ask(told("What is the matter with it?")))
        if code == OTHER and not because:
            return
        if await self._confirmed(told("Reject"), len(images), stored(REASONS[code].sentence)):
            uid, actor = self._page.study_instance_uid, self._page.host.actor()
            self._do(lambda: (self._desk.reject(uid, images, code, because, actor),))

    async def _reconcile(self) -> None:
        exam = await self._exam(told("Which exam is it?"))
        why = await self._why() if exam else ""
        if exam and why and await self._confirmed(told("Give to this exam"), 0, exam.label):
            uid, actor = self._page.study_instance_uid, self._page.host.actor()
            self._do(lambda: (self._desk.reconcile(uid, exam.choice_id, why, actor),))

    async def _split(self) -> None:
        images = self._page.images
        exam = await self._exam(told("Whose are they? Choose that patient's exam."))
        why = await self._why() if exam else ""
        if exam and why and await self._confirmed(told("Split off to"), len(images), exam.label):
            uid, actor = self._page.study_instance_uid, self._page.host.actor()
            self._do(lambda: (self._desk.split(uid, images, exam.choice_id, why, actor),))

    async def _correct(self) -> None:
        from appliance.corrections.identity import OF_THE_STUDY

        choices = [
            Choice(keyword, joined(": ", (word, self._now(keyword) or "-")) if keyword in _COLUMNS else word)
            for keyword, word in lines.ATTRIBUTE_WORDS.items()
        ]
        keyword = await self._ask(Menu(told("What is wrong?"), choices))
        value = await self._value(keyword) if keyword else ""
        why = await self._why() if value else ""
        if not why:
            return
        images = () if keyword in OF_THE_STUDY else self._page.images
        word = say(lines.ATTRIBUTE_WORDS[keyword])
        shown = text.iso_date(value) if keyword == "PatientBirthDate" else display.safe_text(value)
        what = told("{what} {now} (was {was})", what=word, now=shown, was=self._now(keyword) or "-")
        if await self._confirmed(told("Correct"), len(images), what):
            uid, actor = self._page.study_instance_uid, self._page.host.actor()
            self._do(lambda: (self._desk.correct(uid, {keyword: value}, why, actor, images),))

    async def _merge(self) -> None:
        desk, uid, actor = self._desk, self._page.study_instance_uid, self._page.host.actor()
        mine = await self._read(lambda: desk.patient_of(uid))
        if mine is None:
            self._page.say(told("It is not clear whose this study is: first give it to its exam."))
            return
        typed = await self._ask(Ask(told("Under what other name or number is the patient registered?")))
        found = await self._read(lambda: desk.people(typed)) if typed else ()
        others = [one for one in found or () if one.patient_key != mine.patient_key]
        if not others:
            if typed:
                self._page.say(
                    told("Nobody else goes by {typed}. Nothing was changed.", typed=display.safe_text(typed))
                )
            return
        choices = [Choice(one.patient_key, text.person_line(one)) for one in others]
        note = told("The chosen record stays; every study of this patient says it from then on.")
        into = await self._ask(Menu(told("Which record is the same person?"), choices, note=note))
        why = await self._why() if into else ""
        label = next((one.label for one in choices if one.choice_id == into), "")
        if why and await self._confirmed(told("Make one record of both"), 0, label):
            self._do(lambda: desk.merge(mine.patient_key, into, why, actor))

    async def _undo(self) -> None:
        last = self._last_standing()
        if last is None:
            return
        said = joined(": ", (lines.ACTION_WORDS.get(last.kind, stored(last.kind)), stored(last.reason or "-")))
        if await self._confirmed(told("Take back"), 0, said):
            action_id, actor = last.action_id, self._page.host.actor()
            self._work(lambda: self._desk.undo(action_id, actor), lambda _: told("Taken back: all is as before."))

    # --- steps -----------------------------------------------------------------------------------------------------

    async def _ask(self, dialog: Menu | Ask) -> str:
        return await self._page.app.push_screen_wait(dialog) or ""

    async def _confirmed(self, do_it: Wording, image_count: int, what: str) -> bool:
        question = joined("\n", (self._title(do_it, image_count), what))
        answer: bool | None = await self._page.app.push_screen_wait(Confirm(question, do_it))
        return bool(answer)

    def _title(self, do_it: Wording, image_count: int) -> Wording:
        """What is about to be done: to whose pictures, and how many."""
        study = self._page.selected
        assert study is not None
        count = image_count or study.instance_count
        return told(
            "{do}: {images} of {name}, ID {number}",
            do=do_it,
            images=counted(count, "image", "images"),
            name=text.name_of(study.patient_name),
            number=display.safe_text(study.patient_id) or "-",
        )

    async def _why(self) -> str:
        choices = [*(Choice(key, word) for key, word in WHY.items()), Choice(OTHER, told("Another reason ..."))]
        chosen = await self._ask(Menu(told("Why?"), choices))
        return await self._ask(Ask(told("Why?"))) if chosen == OTHER else str(WHY[chosen]) if chosen else ""

    async def _exam(self, title: Wording) -> Choice | None:
        exams = await self._read(self._desk.exams)
        choices = [
            Choice(
                one.registration_key,
                text.SEPARATOR.join(
                    (
                        one.accession_number,
                        text.name_of(one.patient_name),
                        display.safe_text(one.patient_id),
                        display.safe_text(one.description),
                    )
                ),
            )
            for one in exams or ()
        ]
        if not choices:
            if exams is not None:
                self._page.say(told("No exam is registered; F9 on the first page registers one."))
            return None
        chosen = await self._ask(Menu(title, choices))
        return next((one for one in choices if one.choice_id == chosen), None)

    async def _value(self, keyword: str) -> str:
        word = lines.ATTRIBUTE_WORDS[keyword]
        if keyword in _CHOICES:
            return await self._ask(Menu(word, [Choice(value, label) for value, label in _CHOICES[keyword]]))
        now = self._now(keyword, raw=True)
        typed = await self._ask(Ask(word, text.iso_date(now) if "Date" in keyword else now, _NOTES.get(keyword, "")))
        if keyword != "PatientBirthDate" or not typed:
            return typed
        try:
            return f"{datetime.strptime(typed.replace('-', ''), '%Y%m%d'):%Y%m%d}"  # noqa: DTZ007 - a date alone
        except ValueError:
            self._page.say(told("That is no date. Nothing was changed; write year, month, day: 1984-03-12."))
            return ""

    def _now(self, keyword: str, *, raw: bool = False) -> str:
        """What the study says now; empty for what only its pictures say."""
        study = self._page.selected
        value = str(getattr(study, _COLUMNS[keyword])) if keyword in _COLUMNS else ""
        if raw:
            return value
        return text.iso_date(value) if keyword == "PatientBirthDate" else display.safe_text(value)

    # --- doing it --------------------------------------------------------------------------------------------------

    def _last_standing(self) -> Correction | None:
        detail = self._page.detail
        standing = [one for one in detail.actions if not one.undone_at] if detail else []
        return standing[-1] if standing else None

    async def _read(self, work: Callable[[], T]) -> T | None:
        """Read in a thread; ``None`` after trouble, which is said."""
        found = await self._page.run_worker(partial(_or_trouble, work), thread=True, group="desk-read").wait()
        if isinstance(found, ReadTrouble):
            self._page.say(found.sentence)
            return None
        return found

    def _do(self, work: Callable[[], tuple[Done, ...]]) -> None:
        self._work(work, _told)

    def _work(self, work: Callable[[], T], tell: Callable[[T], Wording]) -> None:
        """Write in a thread; everything is as before until it is done."""
        self._is_busy = True
        self._page.say(told("Working; the pictures are copied and checked ..."))

        def done(answer: T) -> None:
            self._is_busy = False
            self._page.forget_marks()
            self._page.host.forget_undo()
            self._page.say(tell(answer))
            self._page.host.refresh_study()

        def trouble(error: ReadTrouble) -> None:
            self._is_busy = False
            self._page.say(error.sentence)

        self._page.ask(work, done, group="deed", trouble=trouble)


def _or_trouble(work: Callable[[], T]) -> T | ReadTrouble:
    try:
        return work()
    except ReadTrouble as error:
        return error


def _told(done: tuple[Done, ...]) -> Wording:
    count = sum(one.image_count for one in done)
    word = lines.ACTION_WORDS.get(done[0].kind, told("Done")) if done else told("Done")
    return told("{what}: {images}. F7 takes it back.", what=word, images=counted(count, "image", "images"))
