"""The queue: every link, every waiting study with the reason it waits, and all findings."""

from __future__ import annotations

from datetime import tzinfo
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from appliance.domain import sentences
from appliance.domain.snapshot import Snapshot
from tui import text
from tui.screens.page import Page

STUDY_COUNT_MAX = 200


class QueuePage(Page):
    """Why each study waits, in the order they will go."""

    ACTION_IDS = ("help", "try_now", "undo", "more")
    HELP_TEXT = "The links to the centre and every study that waits, in the order they will go. Esc goes back."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f6", "app.pop_screen", show=False)]

    def compose_content(self) -> list[Widget]:
        return [VerticalScroll(Static(id="content", markup=False))]

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """Draw everything again."""
        lines = ["QUEUE · Esc goes back", *text.queue_lines(snapshot, now_s, zone, STUDY_COUNT_MAX)]
        if snapshot.findings:
            lines += ["", "TO KNOW", *(sentences.finding_line(finding) for finding in snapshot.findings)]
        self.query_one("#content", Static).update("\n".join(lines))
