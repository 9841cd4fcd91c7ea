"""The screen as a Textual app: messages from workers in, pages redrawn, command rows out.

Nothing on the event loop touches disk or database; all of that runs in thread workers that only post messages, so that
a locked database or a dead Orthanc never stops a key from answering.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo
from pathlib import PurePath
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from appliance.clock import Clock
from appliance.domain import display, sentences
from appliance.domain.snapshot import Snapshot, StudyRow, StudyState
from tui.actions import ACTIONS, Action, Situation, action
from tui.reader import CommandGiven, DetailRead, Poller, Reader, ReadFailed, ReadTrouble, SnapshotRead
from tui.screens.help import HelpDialog
from tui.screens.page import Page
from tui.screens.queue import QueuePage
from tui.screens.study import StudyPage
from tui.screens.today import TodayPage
from tui.widgets.study_list import StudyList

TICK_S = 1.0
FRESH_S = 5.0
"""A state read longer ago than this is no ground to say that power may go."""
SAID_S = 10.0
"""How long a sentence stands, and how long what it tells of can be undone (``ux.md`` 4)."""

_UNDO_KINDS = {"stat": "routine", "routine": "stat", "hold": "release", "release": "hold"}
_SAID = {
    "stat": "Marked STAT: {name}. It goes first.",
    "routine": "No longer STAT: {name}.",
    "hold": "Held: {name}. It stays here until it is released.",
    "release": "Released: {name}. It goes on by itself.",
    "retry": "Tried again now: {name}.",
}


class QafilaApp(App[int]):
    """The technologist's screen; ``reader`` and ``clock`` are handed in, so tests give fakes."""

    TITLE = "Qafila"
    ENABLE_COMMAND_PALETTE = True
    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "screens/page.tcss",
        "screens/today.tcss",
        "screens/study.tcss",
        "screens/help.tcss",
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join((one.key, *one.aliases)), f"act('{one.action_id}')", show=False, id=one.action_id)
        for one in ACTIONS
    ]

    def __init__(self, reader: Reader, clock: Clock, zone: tzinfo = UTC) -> None:
        super().__init__()
        self._reader = reader
        self._clock = clock
        self._zone = zone
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
        self.run_worker(self._poller.run, thread=True, name="poller", exit_on_error=True)
        self.set_interval(TICK_S, self._tick)

    def on_unmount(self) -> None:
        """Let the poller's thread end at once."""
        self._poller.stop()

    # what workers say

    def on_snapshot_read(self, message: SnapshotRead) -> None:
        """A new picture: draw every page that is open."""
        self.snapshot = message.snapshot
        self._trouble = ""
        self._draw_pages()
        if isinstance(self.screen, StudyPage):
            self._read_study(self.screen)
        self._draw_frame()
        self.call_after_refresh(self._poller.drawn)

    def on_read_failed(self, message: ReadFailed) -> None:
        """Say it, or take it back; the last picture stays, and its age decides what the power line may promise."""
        self._trouble = message.sentence
        self._draw_frame()

    def on_detail_read(self, message: DetailRead) -> None:
        """Images and history of the study whose page is open."""
        page = self._page()
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
            self._say(f"{message.said} F7 undoes it.")
        else:
            self._undo = None
            self._say(message.said)
        self._poller.soon()

    def on_page_ready(self, message: Page.Ready) -> None:
        """A page opened: give it the picture there is."""
        if self.snapshot is not None and message.page.is_mounted:
            message.page.show(self.snapshot, self._clock.wall_s(), self._zone)
        self._draw_frame()

    def on_study_list_selected(self, _: StudyList.Selected) -> None:
        """Keys may mean something else now."""
        self._draw_frame()

    # what people do

    def action_act(self, action_id: str) -> None:
        """One entry of the registry, by key or palette; what cannot be done now says why."""
        page = self.screen
        wanted = action(action_id)
        if action_id != "leave" and not (isinstance(page, Page) and action_id in page.ACTION_IDS):
            return
        self._end_what_was_said()
        reason = wanted.blocked(self._situation())
        if reason:
            self._say(f"{wanted.label(self._situation().selected)} - not now: {reason}.")
            return
        getattr(self, f"do_{action_id}")()

    def do_help(self) -> None:
        """Explain the page."""
        page = self._page()
        self.push_screen(HelpDialog(page.HELP_TEXT, page.ACTION_IDS, self._situation()))

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

    def do_queue(self) -> None:
        """Links, order, reasons."""
        self.push_screen(QueuePage())

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
        """The palette offers the registry and nothing else."""
        offered = screen.ACTION_IDS if isinstance(screen, Page) else ()
        situation = self._situation(screen)
        for one in ACTIONS:
            if one.action_id == "leave" or (one.action_id in offered and one.action_id != "more"):
                yield SystemCommand(*_palette_words(one, situation), lambda one=one: self.action_act(one.action_id))

    # inside

    def _page(self) -> Page:
        return next(page for page in reversed(self.screen_stack) if isinstance(page, Page))

    def _pages(self) -> list[Page]:
        return [page for page in self.screen_stack if isinstance(page, Page) and page.is_mounted]

    def _selected(self) -> StudyRow:
        study = self._page().selected
        assert study is not None, "an action that needs a study is blocked without one"
        return study

    def _situation(self, screen: Screen[object] | None = None) -> Situation:
        page = screen if isinstance(screen, Page) else self._page()
        return Situation(self.snapshot, page.selected if page.is_mounted else None, self._undo is not None)

    def _tick(self) -> None:
        """Once a second: ages grow, offers end, a picture becomes too old to promise anything."""
        self._end_what_was_said()
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
        fresh = self._clock.mono_s() - self._poller.read_mono_s <= FRESH_S
        situation = self._situation()
        for page in self._pages():
            page.frame.show(self.snapshot, fresh, self._clock.wall_s(), self._zone)
            page.frame.show_keys(page.ACTION_IDS, situation)
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
                self.post_message(DetailRead(uid, None, str(trouble)))

        self.run_worker(read, thread=True, group="detail", exclusive=True)

    def _give(self, kind: str, study: StudyRow, *, undoes: bool = False) -> None:
        """Write the command in a thread; the answer comes as ``CommandGiven``."""
        uid = study.study_instance_uid
        said = _SAID[kind].format(name=display.person_name(study.patient_name))
        undo_kind = "" if undoes else _UNDO_KINDS.get(kind, "")

        def give() -> None:
            try:
                self._reader.give(kind, uid, "")
                self.post_message(CommandGiven(said, undo_kind, uid))
            except ReadTrouble as trouble:
                self.post_message(CommandGiven(said, undo_kind, uid, str(trouble)))

        self.run_worker(give, thread=True, group="command")


def _palette_words(one: Action, situation: Situation) -> tuple[str, str]:
    """Title and help in the palette; what cannot be done now says so."""
    reason = one.blocked(situation)
    title = f"{one.label(situation.selected)} ({one.key_name})"
    return (f"{title} - not now: {reason}", one.help) if reason else (title, one.help)
