"""One picture as large as the terminal allows; every frame of a loop can be stepped through."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from appliance.domain.rendered import Preview as Drawn
from appliance.domain.rendered import Previews
from appliance.domain.wording import told
from tui import text
from tui.language import say
from tui.widgets.preview import Preview
from tui.widgets.prose import Prose
from tui.work import Asks

NOT_FOR_DIAGNOSIS = told("Preview - not for diagnosis; orientation only")


def caption(drawn: Drawn) -> str:
    """What the preview is, or why there is none."""
    if drawn.rendered is None:
        return say(drawn.sentence) if drawn.sentence else ""
    if drawn.frame_count == 1:
        return say(NOT_FOR_DIAGNOSIS)
    frame = say("frame {number} of {count}", number=drawn.frame_number, count=drawn.frame_count)
    return frame + text.SEPARATOR + say(NOT_FOR_DIAGNOSIS)


class PictureDialog(ModalScreen[None], Asks):
    """Left and right step, Home and End go to the first and last frame, Esc or Enter close."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "dismiss", show=False),
        Binding("left", "step(-1)", show=False),
        Binding("right", "step(1)", show=False),
        Binding("home", "go(1)", show=False),
        Binding("end", "go(-1)", show=False),
    ]

    def __init__(self, previews: Previews, sop_instance_uid: str, frame_number: int, banner: str) -> None:
        super().__init__()
        self._previews, self._uid, self._frame, self._banner = previews, sop_instance_uid, frame_number, banner
        self._is_loading = False
        self._loaded: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        with Vertical(id="picture"):
            yield Prose(self._banner, id="picture-banner")
            yield Preview(id="picture-place")
            yield Prose(say("Reading the picture ..."), id="picture-caption")

    def on_resize(self) -> None:
        """Drawn at the size there is."""
        self.call_after_refresh(self._load)

    def action_step(self, step: int) -> None:
        """The frame before or after."""
        self.action_go(max(self._frame + step, 1) if self._frame > 0 else self._frame)

    def action_go(self, frame_number: int) -> None:
        """That frame."""
        self._frame = frame_number
        self._load()

    def _load(self) -> None:
        """One question at a time, and once more when a key came meanwhile."""
        width, height = self.query_one(Preview).size_px
        wanted = (self._frame, width, height)
        if self._is_loading or wanted == self._loaded or not (width and height):
            return
        self._is_loading, self._loaded = True, wanted
        self.ask(
            lambda: self._previews.preview(self._uid, wanted[0], width, height),
            lambda drawn: self._show(drawn, wanted),
            group="picture",
        )

    def _show(self, drawn: Drawn, wanted: tuple[int, int, int]) -> None:
        self._is_loading = False
        self.query_one(Preview).show(drawn.rendered)
        self.query_one("#picture-caption", Prose).update(caption(drawn))
        if drawn.rendered is not None and self._frame == wanted[0]:
            self._frame = drawn.frame_number  # of a frame that was asked for by name, or that is past the end
            self._loaded = (self._frame, *wanted[1:])
        self._load()
