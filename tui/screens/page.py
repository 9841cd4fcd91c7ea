"""What every page has in common: the frame, its own actions, and what to do with a new picture of the unit."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, ClassVar, Protocol, cast, runtime_checkable

from textual.app import ComposeResult
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from appliance.clock import Clock
from appliance.domain.snapshot import PowerState, Snapshot, StudyRow
from appliance.domain.wording import Wording, stored, told
from tui.actions import Action, Reason, Situation
from tui.screens.leaving import LeavingDialog
from tui.services import Services
from tui.widgets.frame import Frame
from tui.work import Asks, Said

if TYPE_CHECKING:
    from appliance.store.people import Person


@runtime_checkable
class Stoppable(Protocol):
    """What a page started and the end of the screen must end in good order."""

    def stop(self) -> None:
        """End soon."""
        ...


class Host(Protocol):
    """What a page may use of the app."""

    services: Services
    snapshot: Snapshot | None
    clock: Clock
    zone: tzinfo

    kept: dict[str, object]
    """What pages keep while they are closed, by a name of their own."""

    def go_to(self, name: str) -> None:
        """Open a page of ``tui.pages`` over the first one."""
        ...

    def actor(self) -> str:
        """Who does it, for the journal."""
        ...

    person: Person | None
    """Who is signed in; ``None`` where nobody signs in."""

    def lock(self) -> None:
        """Cover everything until somebody signs in."""
        ...

    def act(self, action_id: str) -> None:
        """One entry of the registry, as if its key had been pressed."""
        ...

    @property
    def power(self) -> PowerState:
        """Whether power may go; what was read too long ago does not say so."""
        ...

    @property
    def undo_offered(self) -> bool:
        """Whether ``do_undo`` has something to take back."""
        ...

    @property
    def situation(self) -> Situation:
        """What decides whether an action can be done now."""
        ...

    def do_undo(self) -> None:
        """Take the last command back."""
        ...

    def forget_undo(self) -> None:
        """Something else was done since."""
        ...

    def refresh_study(self) -> None:
        """Read the study whose page is open again, at once."""
        ...


class Page(Screen[None], Asks):
    """A full page over the frame; subclasses say what it is for, what can be done and how it draws."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]  # noqa: RUF012 - Textual reads it from the class
    ACTION_IDS: ClassVar[tuple[str, ...]] = ()
    HELP_TEXT: ClassVar[Wording] = stored("")

    is_ready = False
    """Its widgets exist; before that there is nothing to draw into."""

    class Ready(Message):
        """The page's widgets exist; whoever holds the picture may draw it."""

        def __init__(self, page: Page) -> None:
            super().__init__()
            self.page = page

    class KeysChanged(Message):
        """What can be done, or why not, changed without a new picture."""

    def on_mount(self) -> None:
        """Every widget is there: ask to be drawn."""
        self.is_ready = True
        self.opened()
        self.post_message(self.Ready(self))

    def opened(self) -> None:
        """Every widget exists; subclasses begin their reading here."""

    def compose(self) -> ComposeResult:
        yield from self.compose_content()
        yield Frame()

    def compose_content(self) -> list[Widget]:
        """The widgets above the frame."""
        raise NotImplementedError

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """Draw a new picture of the unit."""
        raise NotImplementedError

    @classmethod
    def closed(cls, services: Services) -> Reason:
        """Why the page cannot be opened on this unit; empty when it can."""
        return ""

    def blocked(self, action: Action, situation: Situation) -> Reason:
        """Why an action cannot be done now; pages that know more than the snapshot say it here."""
        return action.blocked(situation)

    def reword(self) -> None:
        """The language changed; every ``Prose`` is said again by the app, this is for everything else."""

    def do_power_off(self) -> None:
        """Of every page: say what is written and what is not, before power goes."""
        power = self.host.services.power
        if power is None:
            self.say(told("This screen cannot prepare it; the line above the keys says whether power may go."))
        else:
            self.app.push_screen(LeavingDialog(power))

    def say(self, sentence: str) -> None:
        """One sentence above the status line, for ten seconds."""
        self.post_message(Said(sentence))

    @property
    def host(self) -> Host:
        """The app, as far as pages may use it."""
        return cast(Host, self.app)

    @property
    def frame(self) -> Frame:
        """The lines at the bottom."""
        return self.query_one(Frame)

    @property
    def selected(self) -> StudyRow | None:
        """The study that keys act on."""
        return None
