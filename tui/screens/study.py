"""One study: who, how far at each centre, what to look at, its pictures with a preview, and what happened to it."""

from __future__ import annotations

from datetime import tzinfo
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from appliance.domain.rendered import Preview as Drawn
from appliance.domain.snapshot import Snapshot, StudyRow
from appliance.domain.wording import told
from tui import text
from tui.actions import Action, Reason, Situation
from tui.graphics.canvas import Canvas
from tui.language import say
from tui.reader import StudyDetail
from tui.screens import study_lines as lines
from tui.screens.correcting import Corrections
from tui.screens.page import Page
from tui.screens.picture import Look, PictureDialog, caption, look
from tui.widgets.items import Item, Items
from tui.widgets.preview import Preview
from tui.widgets.prose import Prose

FIRST_MIDDLE_LAST = (1, 0, -1)
"""Frames of a loop that left and right go through, as ``Previews`` names them."""


class StudyPage(Page):
    """The study's own page; drawn from the list at once, then from the database, the preview from Orthanc last."""

    ACTION_IDS = (
        "help",
        "stat",
        "hold",
        "reject",
        "problem",
        "undo",
        "retry",
        "correct",
        "look",
        "mark",
        "more",
    )
    HELP_TEXT = told(
        "One study: what to look at, each of its images with a preview, and what happened to it. Arrows choose a "
        "line, left and right show the first, middle and last frame of a loop, Enter the whole picture. Space marks "
        "images; what is done is done to the marked ones, else to the chosen one. Esc goes back."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.back", show=False)]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (text.NARROW_CELLS, "-wide")]  # noqa: RUF012 - Textual reads it

    def __init__(self, study: StudyRow, snapshot: Snapshot, now_s: float, zone: tzinfo) -> None:
        super().__init__()
        self._study = study
        self._snapshot = snapshot
        self._now_s = now_s
        self._zone = zone
        self._detail: StudyDetail | None = None
        self._marked: set[str] = set()
        self._frame_index = 0
        self._is_loading = False
        self._loaded: tuple[object, ...] = ()
        self._corrections = Corrections(self)

    @property
    def selected(self) -> StudyRow | None:
        return self._study

    @property
    def study_instance_uid(self) -> str:
        """Whose page this is."""
        return self._study.study_instance_uid

    @property
    def detail(self) -> StudyDetail | None:
        """All that was read of it."""
        return self._detail

    def compose_content(self) -> list[Widget]:
        preview = Preview(self.host.services.display, id="preview")
        return [
            Prose(id="banner"),
            Prose(id="doubt"),
            Prose(id="content"),
            Horizontal(Items(id="items"), Vertical(preview, Prose(id="caption"), id="side"), id="body"),
        ]

    def opened(self) -> None:
        """Arrows choose at once."""
        self.query_one(Items).focus()

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
        self._marked &= {one.sop_instance_uid for one in detail.instances}
        self._draw()

    def reword(self) -> None:
        """All of it is said anew."""
        self._draw()

    def _draw(self) -> None:
        if not self.is_ready:
            return
        self.query_one("#banner", Prose).update(text.patient_banner(self._study))
        self.query_one("#content", Prose).update("\n".join(lines.summary(self._study, self._snapshot)))
        doubt = self.query_one("#doubt", Prose)
        detail = self._detail
        said = lines.doubt_line(detail.doubt) if detail else ""
        doubt.update(said)
        doubt.display = bool(said)
        if detail is None:
            shown = [Item("", say("Reading its images and history ..."), is_heading=True)]
        else:
            shown = lines.items(detail, self._marked, self._now_s, self._zone)
        items = self.query_one(Items)
        is_first = not items.chosen
        items.show_items(shown)
        if is_first and detail is not None:
            shown_uids = [one.sop_instance_uid for one in detail.instances]
            newest = next((uid for uid in reversed(shown_uids) if uid not in detail.reject_codes), "")
            items.choose(f"{lines.IMAGE}:{newest}")
        self._load()

    # --- what is chosen, and its preview ---------------------------------------------------------------------------

    @property
    def chosen_image(self) -> str:
        """The picture of the chosen line, or of the finding on it; empty on others."""
        kind, _, rest = self.query_one(Items).chosen.partition(":")
        return rest.partition(":")[0] if kind in (lines.IMAGE, lines.FINDING) else ""

    @property
    def images(self) -> tuple[str, ...]:
        """What an action on images is about: the marked ones, else the chosen one; rejected ones never."""
        detail = self._detail
        wanted = self._marked or {self.chosen_image}
        if detail is None:
            return ()
        here = (one.sop_instance_uid for one in detail.instances)
        return tuple(uid for uid in here if uid in wanted and uid not in detail.reject_codes)

    @property
    def _frame(self) -> int:
        kind, _, rest = self.query_one(Items).chosen.partition(":")
        if kind == lines.FINDING and self._frame_index == 0:
            return int(rest.split(":")[1])
        return FIRST_MIDDLE_LAST[self._frame_index]

    def on_items_chosen(self, _: Items.Chosen) -> None:
        """Another line: another picture."""
        self._frame_index = 0
        self._load()
        self.post_message(self.KeysChanged())

    def on_items_stepped(self, message: Items.Stepped) -> None:
        """First, middle, last frame."""
        self._frame_index = (self._frame_index + message.step) % len(FIRST_MIDDLE_LAST)
        self._load()

    def on_items_marked(self, _: Items.Marked) -> None:
        """Space."""
        self.do_mark()

    def on_items_entered(self, _: Items.Entered) -> None:
        """Enter."""
        self.do_look()

    def on_preview_resized(self, _: Preview.Resized) -> None:
        """The preview is drawn at the size of its place."""
        self._load()

    @property
    def _wanted(self) -> tuple[str, int, Canvas, bool]:
        """What the preview should show: picture, frame, in what place, and whether it is rejected."""
        uid, detail = self.chosen_image, self._detail
        is_rejected = detail is not None and uid in detail.reject_codes
        return uid, self._frame, self.query_one(Preview).canvas, is_rejected

    def _load(self) -> None:
        """One question to Orthanc at a time, and once more when another picture was chosen meanwhile."""
        previews, wanted = self.host.services.previews, self._wanted
        uid, frame, canvas, is_rejected = wanted
        if self._is_loading or wanted == self._loaded:
            return
        if is_rejected:
            self._show_preview(Look(Drawn(None, sentence=told("Rejected. Enter shows it."))), wanted)
        elif previews is None or not (uid and all(canvas.size_px)):
            self._show_preview(None, wanted)
        else:
            self._is_loading = True
            self.ask(
                lambda: look(previews, uid, frame, canvas),
                lambda looked: self._take_preview(looked, wanted),
                group="preview",
            )

    def _take_preview(self, looked: Look, wanted: tuple[object, ...]) -> None:
        self._is_loading = False
        self._show_preview(looked, wanted)
        if wanted != self._wanted:
            self._load()

    def _show_preview(self, looked: Look | None, wanted: tuple[object, ...]) -> None:
        # What could not be drawn is asked again with the next news of the unit.
        is_final = looked is None or looked.picture is not None
        self._loaded = wanted if is_final else ()
        self.query_one(Preview).show(looked.picture if looked else None)
        self.query_one("#caption", Prose).update(caption(looked) if looked else "")

    # --- what is done ----------------------------------------------------------------------------------------------

    def blocked(self, action: Action, situation: Situation) -> Reason:
        reason = self._corrections.blocked(action, situation)
        return super().blocked(action, situation) if reason is None else reason

    def forget_marks(self) -> None:
        """What was marked is done."""
        self._marked.clear()
        self._draw()

    def do_mark(self) -> None:
        """Mark the chosen picture, or take the mark away."""
        uid = self.chosen_image
        if uid:
            self._marked ^= {uid}
            self._draw()
            self.post_message(self.KeysChanged())

    def do_look(self) -> None:
        """The whole picture."""
        previews, uid = self.host.services.previews, self.chosen_image
        if previews is not None and uid:
            banner = text.patient_banner(self._study)
            self.app.push_screen(PictureDialog(previews, self.host.services.display, uid, self._frame, banner))

    def do_problem(self) -> None:
        """The next finding, round and round; its picture and frame are shown."""
        items = self.query_one(Items)
        found = [one for one in items.item_ids if one.startswith(f"{lines.FINDING}:")]
        if found:
            here = found.index(items.chosen) if items.chosen in found else -1
            items.choose(found[(here + 1) % len(found)])

    def do_reject(self) -> None:
        """Set pictures aside for a reason of the list."""
        self._corrections.reject()

    def do_correct(self) -> None:
        """Everything about whose pictures these are."""
        self._corrections.choose()

    def do_undo(self) -> None:
        """What was done last: a command within ten seconds, else the last correction that stands."""
        self._corrections.undo()
