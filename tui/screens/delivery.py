"""Delivery: every link, every study that waits with the reason, in the order they will go, and those set aside last."""

from __future__ import annotations

from datetime import tzinfo
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget

from appliance.domain import sentences
from appliance.domain.snapshot import Snapshot, StudyRow, StudyState
from appliance.domain.wording import told
from tui import text
from tui.language import say
from tui.screens.page import Page
from tui.widgets.prose import Prose
from tui.widgets.study_list import StudyList


class DeliveryPage(Page):
    """The queue as a list, and all about the selected study below it."""

    ACTION_IDS = ("help", "stat", "hold", "try_now", "send_now", "undo", "retry", "open", "pages", "more")
    HELP_TEXT = told(
        "The links to the centre and every study that waits, in the order they will go; below, why the selected one "
        "waits and how far it is. Held studies and those set aside stand last. Esc goes back."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.back", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._picture: tuple[Snapshot, float, tzinfo] | None = None

    def compose_content(self) -> list[Widget]:
        return [
            Prose(id="title"),
            Prose(id="links"),
            Prose(id="columns"),
            StudyList(id="studies", draw=text.delivery_line),
            Prose(id="why"),
            Prose(id="findings"),
        ]

    @property
    def selected(self) -> StudyRow | None:
        return self.query_one(StudyList).selected

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """Draw everything again."""
        self._picture = (snapshot, now_s, zone)
        waiting = sentences.unsent(snapshot.studies)
        self.query_one("#title", Prose).update(_title(snapshot, waiting))
        self.query_one("#links", Prose).update("\n".join(text.link_lines(snapshot, now_s, zone)))
        self.query_one(StudyList).show(waiting, now_s, zone)
        findings = [say(sentences.finding_line(finding)) for finding in snapshot.findings]
        panel = self.query_one("#findings", Prose)
        panel.update("\n".join(findings))
        panel.set_class(not findings, "-empty")
        self._show_why()

    def reword(self) -> None:
        """The columns' names."""
        self.on_resize()

    def on_resize(self) -> None:
        self.query_one("#columns", Prose).update(Text(text.delivery_header(self.size.width)))

    def on_study_list_selected(self, _: StudyList.Selected) -> None:
        """Another one: why it waits."""
        self._show_why()

    def _show_why(self) -> None:
        study = self.selected
        lines: list[str] = []
        if study is not None and self._picture is not None:
            snapshot = self._picture[0]
            waiting = [row.study_instance_uid for row in sentences.unsent(snapshot.studies)]
            ahead_count = waiting.index(study.study_instance_uid) if study.study_instance_uid in waiting else 0
            why = sentences.why_waiting(study, snapshot.links, ahead_count)
            lines = [say(why), *(say(sentences.progress_line(one)) for one in study.progress)]
        elif self._picture is not None:
            lines = [say("Nothing waits.")]
        self.query_one("#why", Prose).update("\n".join(lines))


def _title(snapshot: Snapshot, waiting: tuple[StudyRow, ...]) -> str:
    """``DELIVERY · 3 waiting · 1 held · 1 set aside``."""
    held = sum(row.state is StudyState.HELD for row in waiting)
    aside = sum(row.state is StudyState.SET_ASIDE for row in waiting)
    parts = [say("DELIVERY"), say("{count} waiting", count=len(waiting) - held - aside)]
    parts += [say("{count} held", count=held)] if held else []
    parts += [say("{count} set aside", count=aside)] if aside else []
    more = max(snapshot.unsafe_study_count - len(waiting), 0)
    parts += [say("and {studies} more", studies=sentences.studies(more))] if more else []
    return text.SEPARATOR.join(parts)
