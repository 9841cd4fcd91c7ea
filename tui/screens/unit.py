"""The unit itself: disk, clock, records, programs, links, certificates, its devices and its version.

Each check runs in a thread of its own, so that one that hangs (a network file system, a dead Orthanc) hides no other.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget

from appliance.domain import display, sentences
from appliance.domain.snapshot import Snapshot
from appliance.domain.wording import Wording, stored, told
from tui import text
from tui.actions import Reason
from tui.language import say
from tui.screens.page import Page
from tui.services import Health, Services, UnitFacts
from tui.widgets.prose import Prose

if TYPE_CHECKING:
    from appliance.health.check import Result

_LEVELS: dict[str, Wording] = {
    "fine": told("✓ fine"),
    "notice": told("· notice"),
    "unknown": told("? unknown"),
    "warning": told("! WARNING"),
    "alarm": told("✖ ALARM"),
}
_WIDTH = 11


class UnitPage(Page):
    """What ``qafila doctor`` says, as far as it has been looked at."""

    ACTION_IDS = ("help", "check_again", "pages", "more")
    HELP_TEXT = told("The state of the unit itself; what needs somebody stands first. Esc goes back.")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.back", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._facts: UnitFacts | None = None
        self._results: dict[str, tuple[Result, ...] | None] = {}
        self._when: tuple[float, tzinfo] | None = None

    @classmethod
    def closed(cls, services: Services) -> Reason:
        return "" if services.health else told("nothing can be looked at here")

    @property
    def health(self) -> Health:
        """The unit's."""
        health = self.host.services.health
        assert health is not None, "the page is closed without it"
        return health

    def compose_content(self) -> list[Widget]:
        return [Prose(id="title"), VerticalScroll(Prose(id="content"), id="health")]

    def opened(self) -> None:
        """Look at once."""
        self.do_check_again()
        self.query_one("#health").focus()

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """Times of day are of the unit's zone."""
        self._when = (now_s, zone)
        self._draw()

    def reword(self) -> None:
        """All of it is said anew."""
        self._draw()

    def do_check_again(self) -> None:
        """Every check, side by side."""
        self.ask(self.health.facts, self._take_facts, group="facts")
        self._results = dict.fromkeys(self.health.checks())
        for name in self._results:
            self._look(name)
        self._draw()

    def _look(self, name: str) -> None:
        def take(results: tuple[Result, ...]) -> None:
            self._results[name] = results
            self._draw()

        self.ask(lambda: self.health.look(name), take, group=f"look-{name}")

    def _take_facts(self, facts: UnitFacts) -> None:
        self._facts = facts
        self._draw()

    def _draw(self) -> None:
        facts = self._facts
        title = [say("UNIT")]
        if facts is not None:
            title += [display.safe_text(facts.name), say("version {version}", version=facts.version)]
        self.query_one("#title", Prose).update(text.SEPARATOR.join(title))
        found = [result for results in self._results.values() if results for result in results]
        lines = [line for one in sorted(found, key=lambda one: not one.level.needs_person) for line in _lines(one)]
        waiting = [name for name, results in self._results.items() if results is None]
        if waiting:
            lines.append(say("Looking at: {names} ...", names=", ".join(waiting)))
        if facts is not None:
            lines += ["", say("DEVICES"), *(self._device(*one) for one in facts.devices)]
        self.query_one("#content", Prose).update("\n".join(lines))

    def _device(self, ae_title: str, sent_at: str) -> str:
        name = display.safe_text(ae_title)
        if not sent_at or self._when is None:
            return say("{device}: has sent nothing lately", device=name)
        now_s, zone = self._when
        time = sentences.clock_time(sent_at, zone, now_s)
        return say("{device}: sent last at {time}", device=name, time=time)


def _lines(result: Result) -> list[str]:
    """Level, sentence and, where somebody has to look, what to do."""
    level = display.fit(say(_LEVELS[result.level]), _WIDTH)
    lines = [f"{level}{say(stored(result.sentence))}"]
    if result.hint and result.level.needs_person:
        lines.append(f"{' ' * _WIDTH}{say(stored(result.hint))}")
    return lines
