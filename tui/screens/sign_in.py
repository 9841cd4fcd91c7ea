"""The lock: covers every page until somebody signs in; what is safe and whether power may go stays visible.

It opens with the screen and takes itself away on a unit where nobody is listed. What lies under it stays as it was.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING

from textual.containers import Grid, Vertical
from textual.message import Message
from textual.widget import Widget

from appliance.domain import sentences
from appliance.domain.snapshot import Snapshot
from appliance.domain.wording import told
from tui.reader import ReadTrouble
from tui.screens.page import Page
from tui.services import People
from tui.widgets.fields import Field, Pick
from tui.widgets.prose import Prose

if TYPE_CHECKING:
    from appliance.store.people import Person, SignIn

AGAIN_S = 1.0
"""Between two attempts to read who may sign in, while the unit's records cannot be read."""


class SignInPage(Page):
    """Name and PIN."""

    ACTION_IDS = ("help",)
    HELP_TEXT = told("Choose your name with the left and right arrows, type your PIN and press Enter.")

    class SignedIn(Message):
        """Somebody is there, or nobody has to be."""

        def __init__(self, person: Person | None) -> None:
            super().__init__()
            self.person = person

    def __init__(self, people: People) -> None:
        super().__init__()
        self._people = people
        self._looking = False

    def compose_content(self) -> list[Widget]:
        pin = Field("pin")
        pin.password = True
        fields = Grid(Prose(told("Name")), Pick("person"), Prose(told("PIN")), pin, id="sign-in-fields")
        return [Prose(told("LOCKED"), id="title"), Vertical(fields, id="sign-in")]

    def opened(self) -> None:
        """Who may sign in."""
        self.query_one("#sign-in").display = False
        self._ask_who()

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """Nothing of a patient is shown here."""

    def _ask_who(self) -> None:
        self.ask(self._people.everybody, self._offer, group="people", trouble=self._later)

    def _later(self, trouble: ReadTrouble) -> None:
        self.say(trouble.sentence)
        self.set_timer(AGAIN_S, self._ask_who)

    def _offer(self, everybody: tuple[Person, ...]) -> None:
        if not everybody:
            self.post_message(self.SignedIn(None))
            return
        pick = self.query_one(Pick)
        pick.offer([(str(one.person_id), one.name) for one in everybody])
        pick.value = str(everybody[0].person_id)
        self.query_one("#sign-in").display = True
        (self.query_one(Field) if len(everybody) == 1 else pick).focus()

    def on_field_entered(self, _: Field.Entered) -> None:
        """Look at the PIN; while that lasts, no other one."""
        field, person = self.query_one(Field), self.query_one(Pick).value
        if self._looking or not (field.value and person):
            return
        self._looking = True
        pin = field.value
        field.value = ""
        self.ask(lambda: self._people.sign_in(int(person), pin), self._answer, group="pin", trouble=self._trouble)

    def _trouble(self, trouble: ReadTrouble) -> None:
        self._looking = False
        self.say(trouble.sentence)

    def _answer(self, answer: SignIn) -> None:
        self._looking = False
        if answer.person is not None:
            self.post_message(self.SignedIn(answer.person))
        elif answer.wait_s:
            wait = sentences.counted(answer.wait_s, "second", "seconds")
            self.say(told("The PIN was not taken. Wait {seconds} before the next.", seconds=wait))
        else:
            self.say(told("That is not the PIN."))
