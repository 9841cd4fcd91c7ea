"""One study: who, how far at each centre, its images, and its history."""

from __future__ import annotations

from datetime import tzinfo
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from appliance.domain import display, sentences
from appliance.domain.snapshot import InstanceRow, Snapshot, StudyRow
from appliance.domain.values import JournalEntry, LocalState
from tui import text
from tui.reader import StudyDetail
from tui.screens.page import Page

INSTANCE_COUNT_MAX = 100
JOURNAL_COUNT_MAX = 30
_LOCAL_WORDS = {
    LocalState.PRESENT: "on this unit",
    LocalState.EVICTED: "pixels removed here",
    LocalState.MISSING: "! missing here",
    LocalState.CORRUPT: "! damaged here",
}


class StudyPage(Page):
    """The study's own page; drawn from the list at once, then from the database."""

    ACTION_IDS = ("help", "stat", "hold", "undo", "retry", "more")
    HELP_TEXT = "One study: how far it is at each centre, each of its images, and what happened to it. Esc goes back."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", show=False)]

    def __init__(self, study: StudyRow, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        super().__init__()
        self._study = study
        self._snapshot = snapshot
        self._now_s = now_s
        self._zone = zone
        self._detail: StudyDetail | None = None

    @property
    def selected(self) -> StudyRow | None:
        return self._study

    @property
    def study_instance_uid(self) -> str:
        """Whose page this is."""
        return self._study.study_instance_uid

    def compose_content(self) -> list[Widget]:
        return [
            Static(id="banner", markup=False),
            VerticalScroll(Static(id="content", markup=False)),
        ]

    def show(self, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        """Follow the unit; a study that left the list keeps what the database said last."""
        self._snapshot, self._now_s, self._zone = snapshot, now_s, zone
        here = (row for row in snapshot.studies if row.study_instance_uid == self._study.study_instance_uid)
        self._study = next(here, self._study)
        self._draw()

    def show_detail(self, detail: StudyDetail) -> None:
        """Images and history have been read."""
        self._detail = detail
        self._study = detail.study
        self._draw()

    def _draw(self) -> None:
        self.query_one("#banner", Static).update(text.patient_banner(self._study))
        lines = [*self._summary(), ""]
        if self._detail is None:
            lines.append("Reading its images and history ...")
        else:
            lines += [*self._images(self._detail.instances), "", *self._history(self._detail.journal)]
        self.query_one("#content", Static).update("\n".join(lines))

    def _summary(self) -> list[str]:
        study = self._study
        described = display.safe_text(study.study_description) or "(no description)"
        when = text.iso_date(study.study_date) or "(no date)"
        lines = [
            f"{sentences.STAT_MARK + ' ' if study.stat else ''}{sentences.study_state(study)}",
            f"{display.safe_text(study.modality)} {described}, {when}, accession {accession(study)}",
            f"{sentences.counted(study.instance_count, 'image', 'images')}, {sentences.size(study.size_bytes)}, "
            f"{study.on_disk_count} on this unit",
        ]
        waiting = sentences.unsent(self._snapshot.studies)
        ahead_count = next(
            (i for i, row in enumerate(waiting) if row.study_instance_uid == study.study_instance_uid), 0
        )
        why = sentences.why_waiting(study, self._snapshot.links, ahead_count)
        return [*lines, *([why] if why else []), *(sentences.progress_line(one) for one in study.progress)]

    def _images(self, instances: tuple[InstanceRow, ...]) -> list[str]:
        lines = ["IMAGES"]
        for instance in instances[:INSTANCE_COUNT_MAX]:
            states = ", ".join(f"{item.destination}: {sentences.item_state(item.state)}" for item in instance.items)
            arrived = sentences.clock_time(instance.received_at, self._zone, self._now_s)
            lines.append(
                f"{arrived}  {sentences.size(instance.size_bytes)} from {display.safe_text(instance.calling_ae_title)}"
                f", {_LOCAL_WORDS[instance.local_state]} · {states or 'nothing queued'}"
            )
        if len(instances) > INSTANCE_COUNT_MAX:
            lines.append(f"and {len(instances) - INSTANCE_COUNT_MAX} more")
        return lines

    def _history(self, journal: tuple[JournalEntry, ...]) -> list[str]:
        lines = ["HISTORY, newest first"]
        for entry in journal[:JOURNAL_COUNT_MAX]:
            at = sentences.clock_time(entry.at, self._zone, self._now_s)
            lines.append(f"{at}  {display.safe_text(sentences.journal_move(entry))} ({display.safe_text(entry.actor)})")
        return lines


def accession(study: StudyRow) -> str:
    """The accession number, safe to show."""
    return display.safe_text(study.accession_number) or "(none)"
