"""Prepare to power off: what is being written, what stays here, then whether power may go; the power key shows it too.

It asks first, with Cancel as its default. After that nobody new is let in. A unit that switches itself off does so once
all is written; elsewhere the dialog stands until somebody takes it back with Esc.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from appliance.domain import sentences
from appliance.domain.power import Leaving
from appliance.domain.snapshot import Snapshot
from appliance.domain.wording import Wording, joined, stored, told
from tui import arabic, language
from tui.reader import ReadTrouble
from tui.services import PowerOff
from tui.widgets.prose import Prose
from tui.work import Asks, void

if TYPE_CHECKING:
    from tui.screens.page import Host

TICK_S = 1.0
CANCEL, GO, STAY = "cancel", "go", "stay"


class LeavingDialog(ModalScreen[None], Asks):
    """Stands until the machine ends, or until it stays on.

    Args:
        power: What is done before power goes; ``None`` shows only what others do.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self, power: PowerOff | None) -> None:
        super().__init__()
        self._power = power
        self._leaving = Leaving.NO if power is not None else Leaving.OFF
        self._trouble: Wording = stored("")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Prose(classes="dialog-title")
            yield Prose(id="leaving-power")
            yield Prose(id="leaving-note", classes="dialog-note")
            yield OptionList()

    def on_mount(self) -> None:
        """Say how it is, and again whenever that may have changed."""
        self._offer()
        self.set_interval(TICK_S, self._tick)
        self.draw()

    def draw(self) -> None:
        """From what the app knows of the unit now."""
        host = self._host
        titles = {Leaving.NO: told("Prepare to power off"), Leaving.READY: told("Ready to power off?")}
        self.query_one(".dialog-title", Prose).update(titles.get(self._leaving, told("Switching off")))
        self.query_one("#leaving-power", Prose).update(sentences.power_line(host.power))
        self.query_one("#leaving-note", Prose).update(self._trouble or _what_stays(host.snapshot))

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Cancel, or go on."""
        message.stop()
        if message.option_id != GO or self._power is None:
            self.action_leave()
            return
        self._trouble = stored("")
        if self._power.switches_off:
            self._leaving = Leaving.OFF
            self.ask(self._power.off, void, group="off", trouble=self._refused)
        else:
            self._leaving = Leaving.READY
            self.ask(self._power.leave, void, group="leave")
        self._offer()
        self.draw()

    def action_leave(self) -> None:
        """Esc: it stays on; what switches itself off cannot be called back."""
        if self._leaving is Leaving.READY and self._power is not None:
            self.ask(self._power.stay, lambda _: void(self.dismiss()), group="leave")
        elif self._leaving is Leaving.NO:
            self.dismiss()

    def _tick(self) -> None:
        if self._leaving is Leaving.READY and self._power is not None:
            self.ask(self._power.leave, void, group="leave")
        is_over = self._power is None and self._host.power.leaving is Leaving.NO and self._host.power.known
        if is_over:
            self.dismiss()
        else:
            self.draw()

    def _refused(self, trouble: ReadTrouble) -> None:
        self._leaving = Leaving.NO
        self._trouble = stored(trouble.sentence)
        self._offer()
        self.draw()

    def _offer(self) -> None:
        """What can be chosen now."""
        switches_off = self._power is not None and self._power.switches_off
        go = told("Switch off") if switches_off else told("Take no new study, and say when power may go")
        choices = {
            Leaving.NO: ((CANCEL, told("Cancel")), (GO, go)),
            Leaving.READY: ((STAY, told("Stay on")),),
            Leaving.OFF: (),
        }[self._leaving]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(Content(arabic.visual(language.shown(label))), id=each) for each, label in choices])
        options.display = bool(choices)
        if choices:
            options.highlighted = 0
            options.focus()

    @property
    def _host(self) -> Host:
        return cast("Host", self.app)


def attend(app: App[int], snapshot: Snapshot) -> None:
    """Open the dialog over everything when the machine is about to end, whoever asked for it."""
    is_shown = any(isinstance(screen, LeavingDialog) for screen in app.screen_stack)
    if snapshot.power.leaving is Leaving.OFF and not is_shown:
        app.push_screen(LeavingDialog(None))


def _what_stays(snapshot: Snapshot | None) -> Wording:
    """What power can do no harm to."""
    if snapshot is None or not snapshot.unsafe_study_count:
        return told("Every study is safe at the centre.") if snapshot and snapshot.study_count else stored("")
    return joined(
        " ",
        (
            sentences.sentence_end(sentences.safety(snapshot)),
            told("They stay safe here, and go on by themselves when the unit is on again."),
        ),
    )
