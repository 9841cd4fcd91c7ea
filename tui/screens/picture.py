"""One picture as large as the terminal allows; every frame of a loop can be stepped through."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from appliance.domain.rendered import Preview as Drawn
from appliance.domain.rendered import Previews
from appliance.domain.wording import told
from tui import text
from tui.graphics.canvas import Canvas, Display, Picture
from tui.language import say
from tui.widgets.preview import Preview
from tui.widgets.prose import Prose
from tui.work import Asks

NOT_FOR_DIAGNOSIS = told("Preview - not for diagnosis")
ORIENTATION_ONLY = told("Preview - not for diagnosis; orientation only")


class Look(NamedTuple):
    """One frame as Orthanc drew it, made ready for its place; no picture where there is a sentence instead."""

    drawn: Drawn
    picture: Picture | None = None


def look(previews: Previews, sop_instance_uid: str, frame_number: int, canvas: Canvas) -> Look:
    """Blocks; for a worker's thread."""
    drawn = previews.preview(sop_instance_uid, frame_number, *canvas.size_px)
    return Look(drawn, canvas.made_ready(drawn.rendered) if drawn.rendered else None)


def caption(looked: Look) -> str:
    """What the preview is, or why there is none."""
    drawn, picture = looked
    if picture is None:
        return say(drawn.sentence) if drawn.sentence else ""
    label = say(NOT_FOR_DIAGNOSIS if picture.canvas.has_pixels else ORIENTATION_ONLY)
    if drawn.frame_count == 1:
        return label
    frame = say("frame {number} of {count}", number=drawn.frame_number, count=drawn.frame_count)
    return frame + text.SEPARATOR + label


class PictureDialog(ModalScreen[None], Asks):
    """Left and right step, Home and End go to the first and last frame, Esc or Enter close."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "dismiss", show=False),
        Binding("left", "step(-1)", show=False),
        Binding("right", "step(1)", show=False),
        Binding("home", "go(1)", show=False),
        Binding("end", "go(-1)", show=False),
    ]

    def __init__(
        self, previews: Previews, display: Display, sop_instance_uid: str, frame_number: int, banner: str
    ) -> None:
        super().__init__()
        self._terminal = display
        self._previews, self._uid, self._frame, self._banner = previews, sop_instance_uid, frame_number, banner
        self._is_loading = False
        self._loaded: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        with Vertical(id="picture"):
            yield Prose(self._banner, id="picture-banner")
            yield Preview(self._terminal, id="picture-place")
            yield Prose(say("Reading the picture ..."), id="picture-caption")

    def on_preview_resized(self, _: Preview.Resized) -> None:
        """Drawn at the size there is."""
        self._load()

    def action_step(self, step: int) -> None:
        """The frame before or after."""
        self.action_go(max(self._frame + step, 1) if self._frame > 0 else self._frame)

    def action_go(self, frame_number: int) -> None:
        """That frame."""
        self._frame = frame_number
        self._load()

    def _load(self) -> None:
        """One question at a time, and once more when a key came meanwhile."""
        canvas = self.query_one(Preview).canvas
        wanted = (self._frame, canvas)
        if self._is_loading or wanted == self._loaded or not all(canvas.size_px):
            return
        self._is_loading, self._loaded = True, wanted
        self.ask(
            lambda: look(self._previews, self._uid, *wanted),
            lambda looked: self._show(looked, wanted),
            group="picture",
        )

    def _show(self, looked: Look, wanted: tuple[int, Canvas]) -> None:
        self._is_loading = False
        self.query_one(Preview).show(looked.picture)
        self.query_one("#picture-caption", Prose).update(caption(looked))
        if looked.picture is not None and self._frame == wanted[0]:
            self._frame = looked.drawn.frame_number  # of a frame that was asked for by name, or that is past the end
            self._loaded = (self._frame, wanted[1])
        self._load()
