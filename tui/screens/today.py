"""The first page: today's studies and all that are not yet safe, and below them who goes next and what to know."""

from __future__ import annotations

from datetime import datetime, tzinfo

from rich.text import Text
from textual.widget import Widget

from appliance.domain import display, sentences
from appliance.domain.snapshot import Snapshot, StudyRow
from appliance.domain.wording import told
from tui import text
from tui.language import say
from tui.screens.page import Page
from tui.widgets.prose import Prose
from tui.widgets.study_list import StudyList

QUEUE_STUDY_COUNT = 3
FINDING_COUNT = 2


class TodayPage(Page):
    """Studies with their one-way state; new ones arrive without moving the selection."""

    ACTION_IDS = ("help", "stat", "hold", "try_now", "queue", "undo", "retry", "register", "open", "more", "pages")
    HELP_TEXT = told(
        "Today's exams (○ registered, no picture yet), today's studies and every study that is not yet safe at the "
        "centre, urgent ones (▲ STAT) first. "
        "Arrows move, Enter opens a study. ✓ means the centre took it; only ✓✓ means it proved to hold it."
    )

    def compose_content(self) -> list[Widget]:
        return [
            Prose(id="title"),
            Prose(id="columns"),
            StudyList(id="studies"),
            Prose(id="queue"),
            Prose(id="findings"),
        ]

    @property
    def selected(self) -> StudyRow | None:
        return self.query_one(StudyList).selected

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """Draw list, queue and findings."""
        now = datetime.fromtimestamp(now_s, zone)
        title = f"{display.safe_text(snapshot.unit_name)} · {now:%Y-%m-%d %H:%M} · {shown(snapshot)}"
        self.query_one("#title", Prose).update(title)
        self.query_one(StudyList).show(day_rows(snapshot), now_s, zone)
        queue = text.queue_lines(snapshot, now_s, zone, QUEUE_STUDY_COUNT)
        self.query_one("#queue", Prose).update("\n".join(queue))
        findings = [say(sentences.finding_line(finding)) for finding in snapshot.findings]
        more_count = len(findings) - FINDING_COUNT
        if more_count > 0:
            findings[FINDING_COUNT:] = [say("and {count} more; F6 shows them", count=more_count)]
        panel = self.query_one("#findings", Prose)
        panel.update("\n".join(findings))
        panel.set_class(not findings, "-empty")

    def reword(self) -> None:
        """The columns' names."""
        self.on_resize()

    def on_resize(self) -> None:
        self.query_one("#columns", Prose).update(Text(text.header_line(self.size.width)))


def day_rows(snapshot: Snapshot) -> tuple[StudyRow, ...]:
    """Studies and the exams that are still to be made in one list: urgent ones first, then what is expected (the next
    to be called stands first), then the newest."""
    studies, expected = snapshot.studies, snapshot.expected
    parts = ([row for row in rows if row.stat is stat] for stat in (True, False) for rows in (expected, studies))
    return tuple(row for part in parts for row in part)


def shown(snapshot: Snapshot) -> str:
    """How much of the unit the list shows; the archive is not read into it."""
    if len(snapshot.studies) < snapshot.study_count:
        all_of_them = sentences.studies(snapshot.study_count)
        return say("{count} of {studies}: today's and unsent", count=len(snapshot.studies), studies=all_of_them)
    return say(sentences.studies(snapshot.study_count))
