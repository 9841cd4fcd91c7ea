"""The screen as a Textual app: messages from workers in, pages redrawn, command rows out.

Nothing on the event loop touches disk or database; all of that runs in thread workers that only post messages, so that
a locked database or a dead Orthanc never stops a key from answering.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, InputEvent, Paste
from textual.screen import Screen
from textual.widgets import Input

from appliance.clock import Clock
from appliance.domain import sentences
from appliance.domain.snapshot import PowerState, Snapshot, StudyRow, StudyState
from appliance.domain.wording import joined, told
from tui import actions, language, text
from tui.actions import ACTIONS, EVERYWHERE, WHILE_LOCKED, Action, Situation, action, for_key, offered
from tui.language import say
from tui.pages import FIRST, PAGES, entry
from tui.reader import CommandGiven, DetailRead, Poller, Reader, ReadFailed, ReadTrouble, SnapshotRead
from tui.screens.help import HelpDialog
from tui.screens.leaving import attend
from tui.screens.menu import Choice, Menu
from tui.screens.page import Page, Stoppable
from tui.screens.sign_in import SignInPage
from tui.screens.study import StudyPage
from tui.screens.today import TodayPage
from tui.services import Services
from tui.widgets.frame import SILENT
from tui.widgets.prose import Prose
from tui.widgets.study_list import StudyList
from tui.work import Said, terminal_actor

if TYPE_CHECKING:
    from appliance.store.people import Person

TICK_S = 1.0
FRESH_S = 5.0
"""A state read longer ago than this is no ground to say that power may go."""
SAID_S = 10.0
"""How long a sentence stands, and how long what it tells of can be undone (``ux.md`` 4)."""


class QafilaApp(App[int]):
    """The technologist's screen; ``reader`` and ``clock`` are handed in, so tests give fakes."""

    TITLE = "Qafila"
    ENABLE_COMMAND_PALETTE = True
    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "screens/page.tcss",
        "screens/today.tcss",
        "screens/study.tcss",
        "screens/delivery.tcss",
        "screens/help.tcss",
        "screens/menu.tcss",
        "screens/registration.tcss",
        "screens/reports.tcss",
        "screens/courier.tcss",
        "screens/unit.tcss",
        "screens/sign_in.tcss",
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, f"key('{key}')", show=False) for key in dict.fromkeys(key for one in ACTIONS for key in one.keys)
    ]

    def __init__(
        self,
        reader: Reader,
        clock: Clock,
        zone: tzinfo = UTC,
        services: Services | None = None,
        language_code: str = language.SOURCE,
    ) -> None:
        super().__init__()
        self._reader = reader
        self.clock = self._clock = clock
        self.zone = self._zone = zone
        self.services = services or Services()
        self.kept: dict[str, object] = {}
        self.person: Person | None = None
        self._key_mono_s = clock.mono_s()
        self._language_code = language_code
        self._poller = Poller(reader, self.post_message, clock)
        self._trouble = ""
        self._said = ""
        self._undo: tuple[str, str] | None = None
        self._said_until_mono_s = 0.0
        self._undo_until_mono_s = 0.0
        self._drawn_minute = 0
        self.snapshot: Snapshot | None = None

    def get_default_screen(self) -> Screen[None]:
        """The first page."""
        return TodayPage()

    def on_mount(self) -> None:
        """Start reading; the first frame does not wait for it."""
        language.speak(self._language_code)
        self.run_worker(self._poller.run, thread=True, name="poller", exit_on_error=True)
        self.set_interval(TICK_S, self._tick)
        self.lock()

    def on_unmount(self) -> None:
        """Let the poller's thread end at once; whatever comes after the screen speaks English again."""
        language.speak(language.SOURCE)
        self._poller.stop()
        for one in self.kept.values():
            if isinstance(one, Stoppable):
                one.stop()

    # what workers say

    def on_snapshot_read(self, message: SnapshotRead) -> None:
        """A new picture: draw every page that is open."""
        self.snapshot = message.snapshot
        self._trouble = ""
        self._draw_pages()
        for page in self.screen_stack[-1:]:
            if isinstance(page, StudyPage):
                self._read_study(page)
        self._draw_frame()
        attend(self, message.snapshot)
        self.call_after_refresh(self._poller.drawn)

    def on_read_failed(self, message: ReadFailed) -> None:
        """Say it, or take it back; the last picture stays, and its age decides what the power line may promise."""
        self._trouble = message.sentence
        self._draw_frame()

    def on_detail_read(self, message: DetailRead) -> None:
        """Images and history of the study whose page is open."""
        page = next(iter(self._pages()[::-1]), None)  # none while the screen ends
        if message.trouble:
            self._say(message.trouble)
        elif (
            message.detail is not None
            and isinstance(page, StudyPage)
            and page.study_instance_uid == message.study_instance_uid
        ):
            page.show_detail(message.detail)
        self._draw_frame()

    def on_command_given(self, message: CommandGiven) -> None:
        """The row is written, or not; offer the way back for ten seconds."""
        if message.trouble:
            self._say(message.trouble)
        elif message.undo_kind:
            self._undo = (message.undo_kind, message.study_instance_uid)
            self._undo_until_mono_s = self._clock.mono_s() + SAID_S
            self._say(joined(" ", (message.said, told("F7 undoes it."))))
        else:
            self._undo = None
            self._say(message.said)
        self._poller.soon()

    def on_page_ready(self, message: Page.Ready) -> None:
        """A page opened: give it the picture there is."""
        if self.snapshot is not None and message.page.is_mounted:
            message.page.show(self.snapshot, self._clock.wall_s(), self._zone)
        self._draw_frame()

    async def on_event(self, event: Event) -> None:
        """Somebody is there."""
        if isinstance(event, InputEvent | Paste):
            self._key_mono_s = self._clock.mono_s()
        await super().on_event(event)

    def on_descendant_focus(self) -> None:
        """There may be something to type now."""
        self.services.keyboard.follow(isinstance(self.focused, Input))

    async def on_sign_in_page_signed_in(self, message: SignInPage.SignedIn) -> None:
        """Take the lock away; the page under it is as it was."""
        self.person = message.person
        self._key_mono_s = self._clock.mono_s()
        if self._locked:
            await self.pop_screen()
        if message.person is not None:
            self._say(told("Signed in: {name}.", name=message.person.name))
        self._draw_frame()

    def on_page_keys_changed(self, _: Page.KeysChanged) -> None:
        """What can be done changed without a new picture."""
        self._draw_frame()

    def on_said(self, message: Said) -> None:
        """A page has something to say."""
        self._say(message.sentence)

    def on_study_list_selected(self, _: StudyList.Selected) -> None:
        """Keys may mean something else now."""
        self._draw_frame()

    # what people do

    def action_key(self, key: str) -> None:
        """A key of the registry; what it does depends on the page. Over a dialog only leaving works."""
        page = self.screen
        wanted = for_key(key, page.ACTION_IDS) if isinstance(page, Page) else None
        if wanted is not None:
            self.act(wanted.action_id)
        elif key in action("leave").keys:
            self.do_leave()

    def act(self, action_id: str) -> None:
        """One entry of the registry, by key or palette; what cannot be done now says why."""
        page, wanted = self.screen, action(action_id)
        if self._locked and action_id not in WHILE_LOCKED:
            return
        if not isinstance(page, Page) or action_id not in (*page.ACTION_IDS, *EVERYWHERE):
            return
        self._end_what_was_said()
        situation = self._situation()
        reason = page.blocked(wanted, situation)
        if reason:
            label = wanted.label(situation.selected)
            self._say(told("{label} - not now: {reason}.", label=label, reason=reason))
            return
        name = f"do_{action_id}"
        getattr(page if hasattr(page, name) else self, name)()

    async def action_back(self) -> None:
        """Esc: the page before; the first one stays, and so does the lock."""
        if len(self.screen_stack) > 1 and not self._locked:
            await self.pop_screen()

    def do_help(self) -> None:
        """Explain the page and the focused field."""
        page = self._page()
        focused = page.focused.tooltip if page.focused is not None else None
        keys = [one for one in self._keys(page) if one[0].key]
        self.push_screen(HelpDialog(page.HELP_TEXT, focused if isinstance(focused, str) else "", keys))

    def do_stat(self) -> None:
        """Urgent, or not any more."""
        study = self._selected()
        self._give("routine" if study.stat else "stat", study)

    def do_hold(self) -> None:
        """Hold or release."""
        study = self._selected()
        self._give("release" if study.state is StudyState.HELD else "hold", study)

    def do_retry(self) -> None:
        """Offer a refused study again."""
        self._give("retry", self._selected())

    def do_send_now(self) -> None:
        """Offer the selected study at once."""
        self._give("retry", self._selected())

    def do_try_now(self) -> None:
        """Retry what goes next; its wish to go makes the engine try the link at once."""
        rows = sentences.unsent(self.snapshot.studies) if self.snapshot else ()
        self._give("retry", rows[0])

    def do_undo(self) -> None:
        """Take the last command back."""
        if self._undo is None:
            return
        kind, study_instance_uid = self._undo
        self._undo = None
        rows = self.snapshot.studies if self.snapshot else ()
        study = next((row for row in rows if row.study_instance_uid == study_instance_uid), None)
        if study is None:
            self._say("It has left this list; there is nothing to undo any more.")
        else:
            self._give(kind, study, undoes=True)

    @property
    def power(self) -> PowerState:
        """Whether power may go; what was read too long ago does not say so."""
        fresh = self._clock.mono_s() - self._poller.read_mono_s <= FRESH_S
        return self.snapshot.power if self.snapshot is not None and fresh else SILENT

    @property
    def undo_offered(self) -> bool:
        """Whether the last command can be taken back."""
        return self._undo is not None

    @property
    def situation(self) -> Situation:
        """Of the page that is open."""
        return self._situation()

    def forget_undo(self) -> None:
        """Something else was done since."""
        self._undo = None

    def refresh_study(self) -> None:
        """Of the page that is open, at once."""
        page = self._page()
        if isinstance(page, StudyPage):
            self._read_study(page)
        self._poller.soon()

    def do_queue(self) -> None:
        """Links, order, reasons."""
        self.go_to("delivery")

    def do_register(self) -> None:
        """The form."""
        self.go_to("registration")

    def do_pages(self) -> None:
        """Every page by name; those that are closed say why."""
        choices = [Choice(one.name, one.title, one.page_class().closed(self.services)) for one in PAGES]
        here = next((one.name for one in PAGES if isinstance(self.screen, one.page_class())), FIRST)
        self.push_screen(Menu(told("Go to page"), choices, here), self._go_where_chosen)

    def _go_where_chosen(self, name: str | None) -> None:
        if name:
            self.go_to(name)

    def go_to(self, name: str) -> None:
        """Open a page over the first one; a closed page says why."""
        page_class = entry(name).page_class()
        reason = page_class.closed(self.services)
        if self._locked:
            return
        if reason:
            self._say(told("{label} - not now: {reason}.", label=entry(name).title, reason=reason))
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if name != FIRST:
            self.push_screen(page_class())

    def do_speak(self) -> None:
        """The next language."""
        codes = list(language.LANGUAGES)
        self.speak(codes[(codes.index(language.spoken()) + 1) % len(codes)])

    def speak(self, code: str) -> None:
        """Say everything on the screen in another language."""
        language.speak(code)
        for screen in self.screen_stack:
            for prose in screen.query(Prose):
                prose.reword()
        for page in self._pages():
            page.reword()
        self._draw_pages()
        self._say(told("Language: {name}", name=language.LANGUAGES[code]))

    def actor(self) -> str:
        """Who does what is done here, for the journal."""
        return self.person.actor if self.person else terminal_actor()

    @property
    def _locked(self) -> bool:
        return any(isinstance(screen, SignInPage) for screen in self.screen_stack)

    def lock(self) -> None:
        """Cover everything; the lock takes itself away where nobody signs in."""
        if self.services.people is not None and not self._locked:
            self.person = None
            self.push_screen(SignInPage(self.services.people))

    def do_lock(self) -> None:
        """For whoever goes away, or hands over."""
        if self.person is None:
            self._say(told("People do not sign in on this unit; the page People starts that."))
        else:
            self.lock()

    def do_open(self) -> None:
        """The study's own page, from the list first, then from the database."""
        if self.snapshot is not None:
            page = StudyPage(self._selected(), self.snapshot, self._clock.wall_s(), self._zone)
            self.push_screen(page)
            self._read_study(page)

    def do_more(self) -> None:
        """Everything by name."""
        self.action_command_palette()

    def do_leave(self) -> None:
        """End the screen, never the unit."""
        self.exit(0)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette offers the registry, the pages and nothing else; under the lock nothing."""
        if self._locked:
            return
        page = screen if isinstance(screen, Page) else self._page()
        for one, label, reason in self._keys(page):
            if one.action_id != "more":
                title = f"{label} ({language.shown(one.key_name)})" if one.key else label
                if reason:
                    title = say("{label} - not now: {reason}", label=title, reason=reason)
                yield SystemCommand(title, say(one.help), lambda one=one: self.act(one.action_id))
        for each in PAGES:
            title = say("Page: {name}", name=each.title)
            yield SystemCommand(title, say("Go to this page."), lambda each=each: self.go_to(each.name))

    # inside

    def _page(self) -> Page:
        return next(page for page in reversed(self.screen_stack) if isinstance(page, Page))

    def _pages(self) -> list[Page]:
        """Open pages that can be drawn; one that comes or goes has no frame yet, or none any more."""
        return [page for page in self.screen_stack if isinstance(page, Page) and page.is_ready and page.query("#keys")]

    def _selected(self) -> StudyRow:
        study = self._page().selected
        assert study is not None, "an action that needs a study is blocked without one"
        return study

    def _situation(self, screen: Screen[None] | None = None) -> Situation:
        page = screen if isinstance(screen, Page) else self._page()
        return Situation(
            self.snapshot, page.selected if page.is_ready else None, self._undo is not None, self._is_supervisor
        )

    def _keys(self, page: Page, *, bar: bool = False) -> list[tuple[Action, str, str]]:
        """What a page offers: the action, its label, and why not now; ``bar``: only what its key bar shows."""
        situation = self._situation(page)
        return [
            (one, say(one.label(situation.selected)), page.blocked(one, situation))
            for one in offered(page.ACTION_IDS)
            if not bar or one.action_id in (*page.ACTION_IDS, *actions.IN_EVERY_BAR)
        ]

    @property
    def _is_supervisor(self) -> bool:
        return self.person is None or self.person.role == "supervisor"

    def _tick(self) -> None:
        """Once a second: ages grow, offers end, a picture becomes too old to promise anything, and nobody is there."""
        if self.person is not None and self._clock.mono_s() - self._key_mono_s >= self.services.lock_after_s:
            self.lock()
        self._end_what_was_said()
        self.on_descendant_focus()
        minute = int(self._clock.wall_s() // 60)
        if minute != self._drawn_minute:
            self._drawn_minute = minute
            self._draw_pages()
        self._draw_frame()

    def _end_what_was_said(self) -> None:
        """A sentence stands for ten seconds, and so does the way back that it may offer."""
        now_mono_s = self._clock.mono_s()
        if now_mono_s >= self._undo_until_mono_s:
            self._undo = None
        if now_mono_s >= self._said_until_mono_s:
            self._said = ""

    def _draw_pages(self) -> None:
        """Every open page from the picture there is."""
        if self.snapshot is not None:
            for page in self._pages():
                page.show(self.snapshot, self._clock.wall_s(), self._zone)

    def _draw_frame(self) -> None:
        """The always-visible lines of every open page."""
        for page in self._pages():
            page.frame.show(self.snapshot, self.power, self._clock.wall_s(), self._zone)
            page.frame.show_keys(self._keys(page, bar=True))
            page.frame.notice(self._trouble or self._said)

    def _say(self, sentence: str) -> None:
        self._said = sentence
        self._said_until_mono_s = self._clock.mono_s() + SAID_S
        self._draw_frame()

    def _read_study(self, page: StudyPage) -> None:
        uid = page.study_instance_uid

        def read() -> None:
            try:
                self.post_message(DetailRead(uid, self._reader.study(uid)))
            except ReadTrouble as trouble:
                self.post_message(DetailRead(uid, None, trouble.sentence))

        self.run_worker(read, thread=True, group="detail", exclusive=True)

    def _give(self, kind: str, study: StudyRow, *, undoes: bool = False) -> None:
        """Write the command in a thread; the answer comes as ``CommandGiven``."""
        uid = study.study_instance_uid
        said = told(actions.SAID[kind], name=text.name_of(study.patient_name))
        actor = self.actor()
        undo_kind = "" if undoes else actions.UNDO_KINDS.get(kind, "")

        def give() -> None:
            try:
                self._reader.give(kind, uid, "", actor)
                self.post_message(CommandGiven(said, undo_kind, uid))
            except ReadTrouble as trouble:
                self.post_message(CommandGiven(said, undo_kind, uid, trouble.sentence))

        self.run_worker(give, thread=True, group="command")
