"""Courier: studies on a USB stick where there is no link. Choose, copy, read back, and only then it can be removed.

The copying belongs to the screen, not to this page: leaving the page stops nothing.
"""

from __future__ import annotations

import threading
from datetime import tzinfo
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from appliance.domain import display, sentences
from appliance.domain.snapshot import Snapshot
from appliance.domain.wording import Wording, counted, joined, stored, told
from tui import text
from tui.actions import Action, Reason, Situation
from tui.language import say
from tui.screens.page import Page
from tui.services import Courier, CourierEnd, CourierStep, Services, Stick
from tui.widgets.items import Item, Items
from tui.widgets.prose import Prose

if TYPE_CHECKING:
    from appliance.store.courier import StickRow

KEPT = "courier"
REDRAW_S = 0.25
REMOVE, WAIT = told("✓ You can remove the stick"), told("✖ Do not remove the stick")
UNTOUCHED = told("Nothing is lost: every study is still on this unit.")
EXPORT, VERIFY, IMPORT = "export", "verify", "import"
_DOING = {
    EXPORT: told("Copying what the centre has no receipt for"),
    VERIFY: told("Reading the stick back"),
    IMPORT: told("Taking in the centre's receipts"),
}
_ENDINGS: dict[str, Wording] = {
    "done": told("All of it is on the stick, encrypted for the centre and read back."),
    "full": told("The stick is full: what is on it was read back. Take another stick for the rest."),
    "stopped": told("Stopped. What was copied was not checked; copy again to finish it."),
    "lies": told("The stick does not give back what was written: it is counterfeit or broken. Take another one."),
    "nothing-to-do": told("There is nothing to carry: the centre has a receipt for every study, or none is ready."),
}
_SAFE_ENDINGS = ("done", "full", "stopped", "nothing-to-do")


class Job:
    """One run of a courier command; written by its thread, read by the page."""

    def __init__(self, courier: Courier, action: str, stick: str) -> None:
        self.action, self.stick = action, stick
        self.step: CourierStep | None = None
        self.end: CourierEnd | None = None
        self._courier = courier
        self._stopped = threading.Event()

    def run(self) -> None:
        """In a thread."""
        self.end = self._courier.run(self.action, self.stick, self._take, self._stopped)

    def stop(self) -> None:
        """As soon as it can end in good order."""
        self._stopped.set()

    def _take(self, step: CourierStep) -> None:
        self.step = step


class CourierPage(Page):
    """Sticks that are plugged in, sticks that are on their way, and what is done now."""

    ACTION_IDS = ("help", "check_again", "verify", "stop", "bring", "carry", "pages", "more")
    HELP_TEXT = told(
        "Carry studies on a USB stick where there is no link. F9 copies everything that the centre has no receipt for, "
        "encrypted for the centre, and reads it back; never remove the stick before the line says so. When the stick "
        "comes back, F8 takes in the centre's receipts. Esc goes back; the copying goes on."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.back", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._sticks: tuple[Stick, ...] | None = None
        self._carried: tuple[StickRow, ...] = ()
        self._when: tuple[float, tzinfo] | None = None
        self._told_end: CourierEnd | None = None

    @classmethod
    def closed(cls, services: Services) -> Reason:
        return "" if services.courier else told("this unit has no centre that takes sticks")

    @property
    def courier(self) -> Courier:
        """The unit's."""
        courier = self.host.services.courier
        assert courier is not None, "the page is closed without it"
        return courier

    @property
    def job(self) -> Job | None:
        """What runs, or ran last."""
        job = self.host.kept.get(KEPT)
        return job if isinstance(job, Job) else None

    @property
    def _is_busy(self) -> bool:
        return self.job is not None and self.job.end is None

    def compose_content(self) -> list[Widget]:
        return [Prose(told("COURIER"), id="title"), Prose(id="job"), Items(id="items")]

    def opened(self) -> None:
        """Look for sticks at once, and follow what runs."""
        self.query_one(Items).focus()
        self.do_check_again()
        self.set_interval(REDRAW_S, self._follow)

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """The unit changed: receipts may have come."""
        self._when = (now_s, zone)
        self.ask(lambda: self.courier.carried(), self._take_carried, group="carried")
        self._draw()

    def reword(self) -> None:
        """All of it is said anew."""
        self._draw()

    def do_check_again(self) -> None:
        """Which sticks are plugged in."""
        self.ask(lambda: self.courier.sticks(), self._take_sticks, group="sticks")

    def _take_sticks(self, sticks: tuple[Stick, ...]) -> None:
        self._sticks = sticks
        self._draw()

    def _take_carried(self, carried: tuple[StickRow, ...]) -> None:
        self._carried = carried
        self._draw()

    def _follow(self) -> None:
        job = self.job
        if job is None or (job.end is not None and job.end is self._told_end):
            return
        if job.end is not None:
            self._told_end = job.end
            self.do_check_again()
        self._draw()

    # --- drawing ---------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        job = self.job
        lines = job_lines(job) if job else []
        panel = self.query_one("#job", Prose)
        panel.update("\n".join(lines))
        panel.display = bool(lines)
        panel.set_class(bool(job and job.end and is_safe(job.end)), "-safe")
        self.query_one(Items).show_items([*self._stick_items(), *self._carried_items()])
        self.post_message(self.KeysChanged())

    def _stick_items(self) -> list[Item]:
        heading = Item("", say("STICKS PLUGGED IN"), is_heading=True)
        if self._sticks is None:
            return [heading, Item("", say("Looking for sticks ..."), is_heading=True)]
        if not self._sticks:
            return [heading, Item("", say("None. Plug one in, wait a moment, and press F5."), is_heading=True)]
        return [heading, *(Item(one.path, _stick_line(one)) for one in self._sticks)]

    def _carried_items(self) -> list[Item]:
        lines = [Item("", say("STICKS ON THEIR WAY"), is_heading=True)] if self._carried else []
        now_s, zone = self._when or (0.0, None)
        for row in self._carried:
            at = sentences.clock_time(row.verified_at, zone, now_s) if zone is not None else ""
            images = counted(row.image_count, "image", "images")
            open_count = counted(row.waiting_count, "image", "images")
            if row.waiting_count:
                said = say("· {time} stick {stick}: {images}, no receipt yet for {open}", time=at, stick=row.stick[:8],
                           images=images, open=open_count)  # fmt: skip
            else:
                said = say("✓✓ {time} stick {stick}: {images}, all at the centre", time=at, stick=row.stick[:8],
                           images=images)  # fmt: skip
            lines.append(Item(f"way:{row.stick}:{row.destination}", said))
        return lines

    # --- what is done ----------------------------------------------------------------------------------------------

    @property
    def _stick(self) -> str:
        chosen = self.query_one(Items).chosen if self.is_ready else ""
        return chosen if any(one.path == chosen for one in self._sticks or ()) else ""

    def on_items_chosen(self, _: Items.Chosen) -> None:
        """Keys act on another one."""
        self.post_message(self.KeysChanged())

    def blocked(self, action: Action, situation: Situation) -> Reason:
        if action.action_id == "stop":
            return "" if self._is_busy else told("nothing is being copied")
        if action.action_id in ("carry", "verify", "bring"):
            if self._is_busy:
                return told("a stick is being worked on")
            return "" if self._stick else told("no stick is chosen")
        return super().blocked(action, situation)

    def do_carry(self) -> None:
        """Copy and read back."""
        self._start(EXPORT)

    def do_verify(self) -> None:
        """Read back."""
        self._start(VERIFY)

    def do_bring(self) -> None:
        """Take receipts in."""
        self._start(IMPORT)

    def do_stop(self) -> None:
        """End in good order."""
        if self.job is not None:
            self.job.stop()
            self.say(told("Stopping; do not remove the stick yet."))

    def _start(self, action: str) -> None:
        job = Job(self.courier, action, self._stick)
        self.host.kept[KEPT] = job
        self.app.run_worker(job.run, thread=True, group="courier", exit_on_error=False)
        self._draw()


def _stick_line(one: Stick) -> str:
    free, total = sentences.size(one.free_bytes), sentences.size(one.total_bytes)
    return say("{place}: {free} free of {total}", place=display.safe_text(one.path), free=free, total=total)


def is_safe(end: CourierEnd) -> bool:
    """Whether the stick may be taken out: nothing writes to it any more, and it is not broken."""
    if end.trouble:
        return False
    return str(end.facts.get("ending", "done")) in _SAFE_ENDINGS


def job_lines(job: Job) -> list[str]:
    """What is done, how far it is, and whether the stick may be removed."""
    end = job.end
    if end is None:
        lines = [say(joined(text.SEPARATOR, (_DOING[job.action], stored(display.safe_text(job.stick)))))]
        return [*lines, *([say(_progress(job.step))] if job.step else []), say(WAIT)]
    if end.trouble:
        return [say(stored(display.safe_text(end.trouble))), say(UNTOUCHED)]
    facts = end.facts
    if job.action == EXPORT:
        ending = str(facts.get("ending", ""))
        said = [say(_ENDINGS.get(ending, stored(ending)))]
        carried = int(facts.get("carried_count", 0))
        if carried:
            said.append(say("On it: {images} of {studies}", images=counted(carried, "image", "images"),
                            studies=sentences.studies(int(facts.get("study_count", 0)))))  # fmt: skip
        return [*said, say(REMOVE if is_safe(end) else UNTOUCHED)]
    if job.action == VERIFY:
        damaged = len(facts.get("damaged", ()))
        if damaged:
            return [say("The stick has lost part of what was on it. Copy again, best to another stick."), say(REMOVE)]
        whole = say("Everything on it was read back and is whole.")
        return [whole if facts.get("finished") else say("It is whole, but its copying was not finished."), say(REMOVE)]
    brought = facts.get("brought", {})
    new = counted(int(brought.get("new_count", 0)), "image", "images")
    return [say("Receipts of the centre for {images} were taken in.", images=new), say(REMOVE)]


def _progress(step: CourierStep) -> Wording:
    percent = step.done_bytes * 100 // step.total_bytes if step.total_bytes else 100
    if step.phase == "checking":
        return told("Checking what is on the stick: {percent} %", percent=percent)
    images = counted(step.total_count, "image", "images")
    return told("Copying: {done} of {images}, {percent} %", done=step.done_count, images=images, percent=percent)
