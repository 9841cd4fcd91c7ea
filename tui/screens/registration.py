"""Registration: a person and an exam, faster than on paper; whoever may be known already is shown while one types.

Nothing that was typed is lost: Esc keeps it for when the page is opened again, a crash leaves it on disk, and what the
unit does not accept stays in the form with the field that is wrong.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import tzinfo
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Grid, VerticalScroll
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from appliance.domain.snapshot import Snapshot
from appliance.domain.wording import Wording, told
from appliance.registration.duplicates import Likeness
from appliance.registration.entry import Entry, proposed_latin
from tui import text
from tui.actions import Action, Reason, Situation
from tui.language import say, spoken
from tui.reader import ReadTrouble
from tui.screens.menu import Choice, Menu
from tui.screens.page import Page
from tui.services import Counter, FieldTrouble, Services
from tui.widgets.fields import Field, Pick
from tui.widgets.prose import Prose

if TYPE_CHECKING:
    from appliance.registration.catalogue import Catalogue, Exam
    from appliance.registration.counter import Result

TYPED_S = 0.3
"""After the last key, before it is compared and kept; a search takes 0.03 s of 20,000 people."""
ALIKE_COUNT_MAX = 3
KEPT = "registration"
_LABELS: dict[str, Wording] = {
    "family_latin": told("Family name"),
    "given_latin": told("Given name"),
    "family_arabic": told("Family, Arabic"),
    "given_arabic": told("Given, Arabic"),
    "birth": told("Birth date/age"),
    "sex": told("Sex"),
    "national_id": told("National ID"),
    "weight": told("Weight, kg"),
    "exam_code": told("Exam (F3)"),
    "side": told("Side"),
    "pregnancy": told("Pregnant?"),
    "urgent": told("Urgent"),
    "referrer": told("Asked by"),
    "reason": told("Reason"),
}
_HELP: dict[str, Wording] = {
    "family_latin": told("Latin letters, as on the papers. Accents and case make no difference in a search."),
    "family_arabic": told("Arabic letters; may be left empty. With this alone, a Latin spelling is proposed."),
    "birth": told("Year, month, day: 1984-03-12. Or the age, where nobody knows it: 45, 8M, 3W, 10D."),
    "national_id": told("Digits of any script; they are written as 0 to 9."),
    "exam_code": told("F3 or Enter shows the list; left and right go through it."),
    "pregnancy": told("Ask before X-rays whoever may be; the answer goes with the exam."),
}
_CHOICES: dict[str, tuple[tuple[str, Wording], ...]] = {
    "sex": (("", told("-")), ("F", told("Female")), ("M", told("Male")), ("O", told("Other"))),
    "side": (("", told("-")), ("L", told("Left")), ("R", told("Right")), ("B", told("Both sides"))),
    "pregnancy": (
        ("", told("not asked")),
        ("no", told("no")),
        ("possible", told("possible")),
        ("yes", told("yes")),
        ("unknown", told("unknown")),
    ),
    "urgent": (("", told("no")), ("stat", told("▲ STAT"))),
}
_PERSON = ("family_latin", "given_latin", "family_arabic", "given_arabic", "birth", "sex", "national_id")


class RegistrationPage(Page):
    """The form."""

    ACTION_IDS = ("help", "emergency", "exam", "known", "clear", "save", "more")
    HELP_TEXT = told(
        "Register a person and an exam. Arrows, Tab or Enter go from field to field, left and right choose. "
        "Esc goes back and keeps what was typed."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.back", show=False)]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (text.NARROW_CELLS, "-wide")]  # noqa: RUF012 - Textual reads it

    def __init__(self) -> None:
        super().__init__()
        self._exams: Catalogue | None = None
        self._alike: tuple[Likeness, ...] = ()
        self._hidden = Entry()
        """Of the entry, what no field shows: a chosen person, a proposed spelling."""
        self._refused: Entry | None = None
        """What was not written because of people alike: the same again means that it is none of them."""
        self._emptied = Entry()
        self._saving = False
        self._keeping = False
        self._typed: Timer | None = None

    @classmethod
    def closed(cls, services: Services) -> Reason:
        return "" if services.counter else told("this unit registers nobody")

    @property
    def counter(self) -> Counter:
        """The unit's."""
        counter = self.host.services.counter
        assert counter is not None, "the page is closed without one"
        return counter

    def compose_content(self) -> list[Widget]:
        cells: list[Widget] = []
        for name, label in _LABELS.items():
            cells.append(Prose(label, classes="label"))
            help_text = _HELP.get(name, "")
            if name in _CHOICES or name == "exam_code":
                cells.append(Pick(name, _CHOICES.get(name, ()), help_text, has_list=name == "exam_code"))
            else:
                cells.append(Field(name, help_text))
        form = VerticalScroll(Grid(*cells, id="fields"), Prose(id="tell"), Prose(id="alike"), id="form")
        form.can_focus = False
        return [Prose(told("NEW PATIENT"), id="title"), form]

    def opened(self) -> None:
        """What was kept in memory first, else what a crash left on disk."""
        kept = self.host.kept.get(KEPT)
        if isinstance(kept, Entry):
            self._fill(kept)
        else:
            self.ask(self.counter.draft, self._fill, group="draft")
        self.ask(self.counter.exams, self._offer, group="exams")
        self.query_one("#f-family_latin").focus()

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """The form does not change with the unit."""

    def reword(self) -> None:
        """Choices and exams are said anew."""
        if self._exams:
            self._offer(self._exams)
        for pick in self.query(Pick):
            pick.refresh()
        self._tell()

    # what is typed

    def on_input_changed(self, _: Input.Changed) -> None:
        """A key."""
        self._changed()

    def on_pick_changed(self, _: Pick.Changed) -> None:
        """A choice."""
        self._changed()

    def on_pick_entered(self, _: Pick.Entered) -> None:
        """Enter on the exam while none is chosen."""
        self.do_exam()

    def entry(self) -> Entry:
        """The form as typed."""
        typed = {one.name or "": one.value for one in (*self.query(Field), *self.query(Pick))}
        return replace(self._hidden, **typed)

    def _fill(self, entry: Entry) -> None:
        values = asdict(entry)
        self._hidden = Entry(patient_key=entry.patient_key, proposed_latin=entry.proposed_latin)
        for one in (*self.query(Field), *self.query(Pick)):
            one.value = values[one.name or ""]
            one.remove_class("-wrong")
            one.disabled = bool(entry.patient_key) and one.name in _PERSON
        self._changed()

    def _changed(self) -> None:
        self.host.kept[KEPT] = self.entry()
        for one in self.query(".-wrong"):
            if one.has_focus:
                one.remove_class("-wrong")
        self._tell()
        if self._typed is not None:
            self._typed.stop()
        self._typed = self.set_timer(TYPED_S, self._compare_and_keep)

    def _compare_and_keep(self) -> None:
        entry = self.entry()
        if entry.patient_key:
            self._show_alike(())
        else:
            self.ask(lambda: self.counter.alike(entry), self._show_alike, group="alike", trouble=lambda _: None)
        self._keep()

    def _keep(self) -> None:
        """One write at a time, and once more when something was typed meanwhile: the last one is the one that stays."""
        if self._keeping:
            return
        self._keeping = True
        entry = self.entry()

        def kept(_: None) -> None:
            self._keeping = False
            if self.entry() != entry:
                self._keep()

        self.ask(lambda: self.counter.keep_draft(entry), kept, group="keep")

    # what is shown

    def _offer(self, exams: Catalogue) -> None:
        self._exams = exams
        choices = [("", told("-")), *((exam.code, exam_name(exam)) for exam in exams.exam)]
        self.query_one("#f-exam_code", Pick).offer(choices)
        self._tell()

    def _exam(self) -> Exam | None:
        code = self.query_one("#f-exam_code", Pick).value
        return self._exams.by_code.get(code) if self._exams else None

    def _tell(self) -> None:
        """What the patient is told before this exam."""
        exam = self._exam()
        words = self._exams.preparation.get(exam.preparation) if exam and self._exams else None
        said = say("Tell the patient: {words}", words=getattr(words, spoken())) if words else ""
        self.query_one("#tell", Prose).update(said)

    def _show_alike(self, alike: tuple[Likeness, ...]) -> None:
        self._alike = alike
        lines = [say("May be known already (F5):")] if alike else []
        lines += [text.likeness_line(one) for one in alike[:ALIKE_COUNT_MAX]]
        if len(alike) > ALIKE_COUNT_MAX:
            lines.append(say("and {count} more", count=len(alike) - ALIKE_COUNT_MAX))
        self.query_one("#alike", Prose).update("\n".join(lines))
        self.post_message(self.KeysChanged())

    # what is done

    def blocked(self, action: Action, situation: Situation) -> Reason:
        if action.action_id in ("save", "emergency", "clear") and self._saving:
            return told("it is being written")
        if action.action_id == "known" and not self._alike:
            return told("nobody alike is known")
        if action.action_id == "exam" and self._exams is None:
            return told("the list of exams is not read yet")
        return super().blocked(action, situation)

    def do_exam(self) -> None:
        """The list of exams."""
        if self._exams is None:
            return
        choices = [Choice(exam.code, f"{exam.modality}  {exam_name(exam)}") for exam in self._exams.exam]
        chosen = self.query_one("#f-exam_code", Pick).value
        self.app.push_screen(Menu(told("Exam"), choices, chosen), self._take_exam)

    def _take_exam(self, code: str | None) -> None:
        if code:
            self.query_one("#f-exam_code", Pick).value = code
            exam = self._exam()
            self.query_one("#f-side" if exam and exam.paired else "#f-pregnancy").focus()

    def do_known(self) -> None:
        """Choose one of those alike."""
        choices = [Choice(str(number), text.likeness_line(one)) for number, one in enumerate(self._alike)]
        note = told("Everything about the person comes from the record then.")
        self.app.push_screen(Menu(told("Who is it?"), choices, note=note), self._take_known)

    def _take_known(self, number: str | None) -> None:
        if not number:
            return
        patient = self._alike[int(number)].patient
        details = patient.details
        name = details.name
        self._fill(
            replace(
                self.entry(),
                family_latin=name.family_latin,
                given_latin=name.given_latin,
                family_arabic=name.family_arabic,
                given_arabic=name.given_arabic,
                birth=text.iso_date(details.birth_date) or details.age_text.lstrip("0"),
                sex=details.sex,
                national_id="",
                proposed_latin="",
                patient_key=patient.patient_key,
            )
        )
        self.query_one("#f-exam_code").focus()

    def do_clear(self) -> None:
        """Empty the form; again: bring it back."""
        before = self.entry()
        self._refused = None
        self._fill(self._emptied if before == Entry() else Entry())
        self._emptied = before
        self.query_one("#f-family_latin").focus()

    def do_emergency(self) -> None:
        """Urgent, and everything may be missing."""
        self._register(is_emergency=True)

    def do_save(self) -> None:
        """Write it down."""
        self._register(is_emergency=False)

    def _register(self, *, is_emergency: bool) -> None:
        entry, actor = self.entry(), self.host.actor()
        self._saving = True
        self.post_message(self.KeysChanged())
        self.ask(
            lambda: self.counter.register(
                entry, actor, is_emergency=is_emergency, is_nobody_known=self._refused == entry
            ),
            lambda result: self._done(entry, result),
            group="register",
            trouble=self._not_done,
        )

    def _done(self, entry: Entry, result: Result) -> None:
        self._saving = False
        if result.done is None:
            self._refused = entry
            self._show_alike(result.alike)
            self.say(told("May be known already: F5 takes one of them, F9 again registers a new person."))
            return
        name = result.done.patient.details.name
        shown = ", ".join(part for part in (name.family_latin, name.given_latin) if part)
        self._refused, self._emptied = None, Entry()
        self._fill(Entry())
        self.ask(lambda: self.counter.keep_draft(Entry()), lambda _: None, group="forget")
        self.say(told("Registered: {name}, ID {number}.", name=shown, number=result.done.patient_id))
        self.host.go_to("today")

    def _not_done(self, trouble: ReadTrouble) -> None:
        """Everything stays in the form; the field that is wrong gets the cursor."""
        self._saving = False
        self.post_message(self.KeysChanged())
        if not isinstance(trouble, FieldTrouble):
            self.say(told("{trouble} What was typed is kept here.", trouble=trouble.sentence))
            return
        if trouble.proposal is not None:
            proposal = trouble.proposal
            latin = {"family_latin": proposal.family_latin, "given_latin": proposal.given_latin}
            self._fill(replace(self.entry(), **latin, proposed_latin=proposed_latin(proposal)))
        self.say(told("{sentence}.", sentence=trouble.sentence))
        field = self.query_one(f"#f-{trouble.field}")
        field.add_class("-wrong")
        field.focus()


def exam_name(exam: Exam) -> str:
    """In the language of the screen."""
    name: str = getattr(exam.name, spoken())
    return name
