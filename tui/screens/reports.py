"""Reports: what the centre's people said, new first, a critical result before everything; and who has seen it."""

from __future__ import annotations

from datetime import tzinfo
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget

from appliance.domain import display, sentences
from appliance.domain.answers import MESSAGE, ORDER, PRIORITY, REPORT, RETAKE, UnitAnswer, Weight
from appliance.domain.snapshot import Snapshot, StudyRow
from appliance.domain.wording import Wording, stored, told
from tui import text
from tui.actions import Action, Reason, Situation
from tui.language import say
from tui.screens.ask import Ask
from tui.screens.page import Page
from tui.services import Inbox, Services
from tui.widgets.items import Item, Items
from tui.widgets.prose import Prose

_KINDS: dict[str, Wording] = {
    REPORT: told("report"),
    RETAKE: told("please take it again"),
    MESSAGE: told("message"),
    PRIORITY: told("made urgent by the centre"),
    ORDER: told("ordered by the centre"),
}
_MARKS: dict[Weight, Wording] = {
    Weight.CRITICAL: told("▲ CRITICAL"),
    Weight.URGENT: told("▲ NOW"),
    Weight.PLAIN: told("● new"),
}
_PARTS: dict[str, Wording] = {
    "title": told("Title"),
    "findings": told("Findings"),
    "impression": told("Impression"),
    "changed": told("Changed"),
    "reason": told("Why"),
    "text": told("Text"),
}
_NONE = told("nothing from the centre is chosen")


class ReportsPage(Page):
    """The list above, the chosen one in full below."""

    ACTION_IDS = ("help", "check_again", "seen", "open", "pages", "more")
    HELP_TEXT = told(
        "What the centre said: reports, requests to take an image again, messages, and exams that it ordered. New ones "
        "stand first, critical ones before all. F9 tells the centre who has seen it. Enter opens the study. "
        "Page Up and Page Down read a long text. Esc goes back."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.back", show=False),
        Binding("pagedown", "read(1)", show=False, priority=True),
        Binding("pageup", "read(-1)", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._answers: tuple[UnitAnswer, ...] = ()
        self._is_read = False
        self._picture: tuple[Snapshot, float, tzinfo] | None = None

    @classmethod
    def closed(cls, services: Services) -> Reason:
        return "" if services.inbox else told("no centre answers here")

    @property
    def inbox(self) -> Inbox:
        """The unit's."""
        inbox = self.host.services.inbox
        assert inbox is not None, "the page is closed without it"
        return inbox

    @property
    def selected(self) -> StudyRow | None:
        one = self.chosen
        rows = self._picture[0].studies if self._picture else ()
        wanted = one.study_instance_uid if one else ""
        return next((row for row in rows if row.study_instance_uid == wanted), None)

    @property
    def chosen(self) -> UnitAnswer | None:
        """The one that keys act on."""
        chosen = self.query_one(Items).chosen
        return next((one for one in self._answers if one.answer_id == chosen), None)

    def compose_content(self) -> list[Widget]:
        body = VerticalScroll(Prose(id="content"), id="answer")
        body.can_focus = False
        return [Prose(id="title"), Items(id="items"), body]

    def opened(self) -> None:
        """Read at once."""
        self.query_one(Items).focus()

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """The unit changed: there may be news."""
        self._picture = (snapshot, now_s, zone)
        self.do_check_again()
        self._draw()

    def reword(self) -> None:
        """All of it is said anew."""
        self._draw()

    def do_check_again(self) -> None:
        """Read the list."""
        self.ask(self.inbox.answers, self._take, group="answers")

    def _take(self, answers: tuple[UnitAnswer, ...]) -> None:
        self._answers, self._is_read = answers, True
        self._draw()
        self.post_message(self.KeysChanged())

    def on_items_chosen(self, _: Items.Chosen) -> None:
        """Another one: its text."""
        self._draw_text()
        self.query_one("#answer", VerticalScroll).scroll_home(animate=False)
        self.post_message(self.KeysChanged())

    def on_items_entered(self, _: Items.Entered) -> None:
        """Enter."""
        self.host.act("open")

    def action_read(self, direction: int) -> None:
        """A screenful of the text."""
        body = self.query_one("#answer", VerticalScroll)
        body.scroll_relative(y=direction * max(body.size.height - 1, 1), animate=False)

    # --- drawing ---------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        new = [one for one in self._answers if one.is_new]
        critical = sum(one.weight is Weight.CRITICAL for one in new)
        title = [say("REPORTS"), say("{count} new", count=len(new))]
        title += [say("{count} critical", count=critical)] if critical else []
        self.query_one("#title", Prose).update(text.SEPARATOR.join(title))
        rows = [Item(one.answer_id, self._line(one), style="bold" if one.is_new else "dim") for one in self._answers]
        if not rows:
            nothing = say("Nothing from the centre yet.") if self._is_read else say("Reading ...")
            rows = [Item("", nothing, is_heading=True)]
        self.query_one(Items).show_items(rows)
        self._draw_text()

    def _line(self, one: UnitAnswer) -> str:
        now_s, zone = self._picture[1:] if self._picture else (0.0, None)
        at = sentences.clock_time(one.received_at, zone, now_s) if zone is not None else ""
        mark = say(_MARKS[one.weight]) if one.is_new else "✓"
        words = [
            f"{display.fit(mark, max(len(mark), 10))} {at}",
            say(_KINDS.get(one.kind, stored(display.safe_text(one.kind)))),
            say("(replaced by a later version)") if one.is_superseded else "",
            text.name_of(one.patient_name) if one.patient_name else "",
            display.safe_text(one.patient_id),
        ]
        return "  ".join(word for word in words if word)

    def _draw_text(self) -> None:
        one = self.chosen
        lines: list[str] = []
        if one is not None:
            author = display.safe_text(one.text("author"))
            if author:
                lines.append(say("From {author}", author=author))
            if not one.is_new:
                lines.append(say("Seen by {name}; the centre is told.", name=display.safe_text(one.seen_by)))
            for part, word in _PARTS.items():
                if said := one.text(part):
                    lines += ["", say(word).upper(), *(display.safe_text(each) for each in said.splitlines())]
            if one.outcome:
                lines += ["", say(stored(display.safe_text(one.outcome)))]
        self.query_one("#content", Prose).update("\n".join(lines))

    # --- what is done ----------------------------------------------------------------------------------------------

    def blocked(self, action: Action, situation: Situation) -> Reason:
        if action.action_id == "seen":
            one = self.chosen if self.is_ready else None
            if one is None:
                return _NONE
            return "" if one.is_new else told("it was seen by {name}", name=display.safe_text(one.seen_by))
        if action.action_id == "open" and self.is_ready and situation.selected is None:
            return told("its study is not in the list of today")
        return super().blocked(action, situation)

    def do_seen(self) -> None:
        """Whoever is signed in has seen it; where nobody signs in, the name is asked."""
        one = self.chosen
        if one is None:
            return
        answer_id = one.answer_id
        if self.host.person is not None:
            self._acknowledge(answer_id, self.host.person.name)
        else:
            note = told("The centre is told by whom and when.")
            self.app.push_screen(
                Ask(told("Who has seen it?"), note=note), lambda name: self._acknowledge(answer_id, name or "")
            )

    def _acknowledge(self, answer_id: str, by: str) -> None:
        if by:
            self.ask(lambda: self.inbox.acknowledge(answer_id, by), lambda _: self._seen(by), group="seen")

    def _seen(self, by: str) -> None:
        self.say(told("Seen by {name}; the centre is told at the next contact.", name=display.safe_text(by)))
        self.do_check_again()
