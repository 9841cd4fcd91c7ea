"""People: who may sign in, and for a supervisor to add them, give them another PIN, or let them sign in no more.

What is asked is asked one by one, in dialogs that Esc leaves without a change; a PIN is typed twice and never shown.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from appliance.domain import display
from appliance.domain.snapshot import Snapshot
from appliance.domain.wording import Wording, joined, told
from tui import text
from tui.actions import Action, Reason, Situation
from tui.language import say
from tui.reader import ReadTrouble
from tui.screens.ask import Ask
from tui.screens.menu import Choice, Confirm, Menu
from tui.screens.page import Page
from tui.services import People, Services
from tui.widgets.items import Item, Items
from tui.widgets.prose import Prose

if TYPE_CHECKING:
    from appliance.store.people import Person

SUPERVISOR, TECHNOLOGIST = "supervisor", "technologist"
ROLE_WORDS: dict[str, Wording] = {SUPERVISOR: told("supervisor"), TECHNOLOGIST: told("technologist")}
UNCHANGED = told("Nothing was changed.")
PIN_RULE = told("4 to 12 digits, and none that everybody tries first.")
_ROLE_CELLS = 16


class PeoplePage(Page):
    """Everybody who may sign in."""

    ACTION_IDS = ("help", "check_again", "change_pin", "remove_person", "add_person", "pages", "more")
    HELP_TEXT = told(
        "Who may sign in. While nobody is listed, nobody has to. A supervisor adds people, gives them another PIN, and "
        "lets them sign in no more; what they did stays theirs. The first person is a supervisor. Esc goes back."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.back", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._everybody: tuple[Person, ...] | None = None
        self._typed_name = ""

    @classmethod
    def closed(cls, services: Services) -> Reason:
        return "" if services.people else told("nobody signs in here")

    @property
    def people(self) -> People:
        """The unit's."""
        people = self.host.services.people
        assert people is not None, "the page is closed without it"
        return people

    @property
    def chosen(self) -> Person | None:
        """Whom keys act on."""
        chosen = self.query_one(Items).chosen if self.is_ready else ""
        return next((one for one in self._everybody or () if str(one.person_id) == chosen), None)

    def compose_content(self) -> list[Widget]:
        return [Prose(told("PEOPLE"), id="title"), Items(id="items")]

    def opened(self) -> None:
        """Read at once."""
        self.query_one(Items).focus()
        self._draw()
        self.do_check_again()

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """Nothing here comes from the snapshot."""

    def reword(self) -> None:
        """All of it is said anew."""
        self._draw()

    def on_screen_resume(self) -> None:
        """Somebody else may be signed in now."""
        if self.is_ready:
            self._draw()

    def do_check_again(self) -> None:
        """Read the list."""
        self.ask(self.people.everybody, self._take, group="everybody")

    def _take(self, everybody: tuple[Person, ...]) -> None:
        is_first = self._everybody == () and bool(everybody)
        self._everybody = everybody
        self._draw()
        if is_first:  # from now on whoever does something here is somebody
            self.host.lock()

    def _draw(self) -> None:
        if self._everybody is None:
            lines = [Item("", say("Reading who may sign in ..."), is_heading=True)]
        elif not self._everybody:
            lines = [Item("", say("Nobody is listed, so nobody has to sign in. F9 adds the first."), is_heading=True)]
        else:
            lines = [Item(str(one.person_id), self._line(one)) for one in self._everybody]
        self.query_one(Items).show_items(lines)
        self.post_message(self.KeysChanged())

    def _line(self, one: Person) -> str:
        role = display.fit(say(ROLE_WORDS[one.role]), _ROLE_CELLS)
        since = say("since {day}", day=one.added_at[:10])
        me = [say("signed in")] if self._is_me(one) else []
        return role + text.SEPARATOR.join([display.safe_text(one.name), since, *me])

    def _is_me(self, one: Person) -> bool:
        me = self.host.person
        return me is not None and me.person_id == one.person_id

    # --- what is done ----------------------------------------------------------------------------------------------

    def on_items_chosen(self, _: Items.Chosen) -> None:
        """Keys act on another one."""
        self.post_message(self.KeysChanged())

    def blocked(self, action: Action, situation: Situation) -> Reason:
        reason = super().blocked(action, situation)
        if reason or action.action_id not in ("change_pin", "remove_person"):
            return reason
        if self.chosen is None:
            return told("nobody is chosen")
        if action.action_id == "remove_person" and self._is_me(self.chosen):
            return told("that is you; another supervisor does it")
        return ""

    def do_add_person(self) -> None:
        """Name, role, PIN; the first person is a supervisor."""

        def named(name: str | None) -> None:
            self._typed_name = name or self._typed_name
            if name and not self._everybody:
                self._ask_pin(lambda pin: self._add(name, SUPERVISOR, pin))
            elif name:
                choices = [Choice(role, ROLE_WORDS[role]) for role in (TECHNOLOGIST, SUPERVISOR)]
                self.app.push_screen(Menu(told("Role of {name}", name=name), choices), lambda role: ruled(name, role))

        def ruled(name: str, role: str | None) -> None:
            if role:
                self._ask_pin(lambda pin: self._add(name, role, pin))

        self.app.push_screen(Ask(told("Name of the person"), self._typed_name), named)

    def do_change_pin(self) -> None:
        """Of the chosen person."""
        one, actor = self.chosen, self.host.actor()
        if one is not None:
            said = told("{name} has another PIN.", name=one.name)
            self._ask_pin(lambda pin: self._do(lambda: self.people.change_pin(one, pin, actor), said))

    def do_remove_person(self) -> None:
        """After a question."""
        one, actor = self.chosen, self.host.actor()
        if one is None:
            return
        said = told("{name} signs in no more.", name=one.name)
        question = told("Let {name} ({role}) sign in no more?", name=one.name, role=ROLE_WORDS[one.role])

        def answered(is_sure: bool | None) -> None:
            if is_sure:
                self._do(lambda: self.people.remove(one, actor), said)

        self.app.push_screen(Confirm(question, told("Sign in no more")), answered)

    def _add(self, name: str, role: str, pin: str) -> None:
        actor = self.host.actor()
        self._typed_name = ""
        self._do(lambda: self.people.add(name, role, pin, actor), told("{name} may sign in now.", name=name))

    def _ask_pin(self, then: Callable[[str], None]) -> None:
        """Twice, for nobody sees what they type."""

        def again(first: str | None) -> None:
            if first:
                self.app.push_screen(Ask(told("The same again"), hidden=True), lambda second: compare(first, second))

        def compare(first: str, second: str | None) -> None:
            if second == first:
                then(first)
            elif second:
                self.say(joined(" ", (told("The two are not the same."), UNCHANGED)))

        self.app.push_screen(Ask(told("New PIN"), note=PIN_RULE, hidden=True), again)

    def _do(self, work: Callable[[], object], said: Wording) -> None:
        def done(_: object) -> None:
            self.say(said)
            self.do_check_again()

        def refused(trouble: ReadTrouble) -> None:
            self.say(joined(" ", (trouble.sentence, UNCHANGED)))

        self.ask(work, done, group="change", trouble=refused)
