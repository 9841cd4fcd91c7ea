"""The first page: today's studies and all that are not yet safe, and below them who goes next and what to know."""

from __future__ import annotations

from datetime import datetime, tzinfo

from textual.widget import Widget
from textual.widgets import Static

from appliance.domain import display, sentences
from appliance.domain.snapshot import Snapshot, StudyRow
from tui import text
from tui.screens.page import Page
from tui.widgets.study_list import StudyList

QUEUE_STUDY_COUNT = 3
FINDING_COUNT = 2


class TodayPage(Page):
    """Studies with their one-way state; new ones arrive without moving the selection."""

    ACTION_IDS = ("help", "stat", "hold", "try_now", "queue", "undo", "retry", "open", "more")
    HELP_TEXT = (
        "Today's studies and every study that is not yet safe at the centre, urgent ones (▲ STAT) first. "
        "Arrows move, Enter opens a study. ✓ means the centre took it; only ✓✓ means it proved to hold it."
    )

    def compose_content(self) -> list[Widget]:
        return [
            Static(id="title", markup=False),
            Static(id="columns", markup=False),
            StudyList(id="studies"),
            Static(id="queue", markup=False),
            Static(id="findings", markup=False),
        ]

    @property
    def selected(self) -> StudyRow | None:
        return self.query_one(StudyList).selected

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """Draw list, queue and findings."""
        now = datetime.fromtimestamp(now_s, zone)
        title = f"{display.safe_text(snapshot.unit_name)} · {now:%Y-%m-%d %H:%M} · {shown(snapshot)}"
        self.query_one("#title", Static).update(title)
        self.query_one(StudyList).show(snapshot.studies, now_s, zone)
        queue = text.queue_lines(snapshot, now_s, zone, QUEUE_STUDY_COUNT)
        self.query_one("#queue", Static).update("\n".join(queue))
        findings = [sentences.finding_line(finding) for finding in snapshot.findings]
        more_count = len(findings) - FINDING_COUNT
        if more_count > 0:
            findings[FINDING_COUNT:] = [f"and {more_count} more; F6 shows them"]
        panel = self.query_one("#findings", Static)
        panel.update("\n".join(findings))
        panel.set_class(not findings, "-empty")

    def on_resize(self) -> None:
        self.query_one("#columns", Static).update(text.header_line(self.size.width))


def shown(snapshot: Snapshot) -> str:
    """How much of the unit the list shows; the archive is not read into it."""
    if len(snapshot.studies) < snapshot.study_count:
        return f"{len(snapshot.studies)} of {sentences.studies(snapshot.study_count)}: today's and unsent"
    return sentences.studies(snapshot.study_count)
