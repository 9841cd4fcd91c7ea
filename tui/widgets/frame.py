"""What stands on every page: how safe the studies are, whether power may go, what was just said, and the keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Click

from appliance.domain import sentences
from appliance.domain.snapshot import PowerState, Snapshot
from appliance.domain.wording import told
from tui import arabic, text
from tui.actions import Action
from tui.language import shown
from tui.widgets.prose import Prose

KEY_LINE_COUNT_MAX = 2
KEY_GAP = "  "
SILENT = PowerState(safe=False, receiving_count=0, unindexed_count=0, known=False)
"""Of a picture that is too old to say that power may go."""


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of the key bar."""

    name: str
    label: Text
    blocked: bool


class Frame(Vertical):
    """The lines at the bottom of every page."""

    def __init__(self) -> None:
        super().__init__(id="frame")
        self._parts: tuple[str, ...] = (told("Reading what this unit holds ..."),)
        self._keys: tuple[Key, ...] = ()
        self._key_lines: list[list[Key]] = []

    def compose(self) -> ComposeResult:
        yield Prose(id="notice")
        yield Prose(id="status")
        yield Prose(id="power")
        yield Prose(id="keys")

    def show(self, snapshot: Snapshot | None, power: PowerState, now_s: float, zone: tzinfo) -> None:
        """Draw the status and power lines."""
        if snapshot is not None:
            short = self.size.width < text.NARROW_CELLS
            self._parts = sentences.status_segments(snapshot, now_s, zone, short=short)
        line = self.query_one("#power", Prose)
        line.update(sentences.power_line(power))
        line.set_class(power.safe, "-safe")
        self._fill_lines()

    def notice(self, sentence: str) -> None:
        """Say one thing; empty text takes the line away."""
        line = self.query_one("#notice", Prose)
        line.update(sentence)
        line.display = bool(sentence)

    def show_keys(self, actions: Iterable[tuple[Action, str, str]]) -> None:
        """The key bar from actions, their labels and why not now; what cannot be done now stays, dim and in brackets;
        pressing it says why."""
        keys = []
        for action, said, reason in actions:
            label = arabic.visual(f"{shown(action.key_name)} {said}")
            keys.append(
                Key(action.key, Text(f"({label})", style="dim") if reason else Text(label, style="bold"), bool(reason))
            )
        self._keys = tuple(keys)
        self._fill_lines()

    def on_click(self, event: Click) -> None:
        """A finger on a name of the key bar is that key."""
        at = event.get_content_offset(self.query_one("#keys", Prose))
        name = _key_at(self._key_lines[at.y], at.x) if at is not None and at.y < len(self._key_lines) else ""
        if name:
            event.stop()
            self.app.simulate_key(name)

    def on_resize(self) -> None:
        self._fill_lines()

    def _fill_lines(self) -> None:
        width = self.size.width
        if width <= 0:
            return
        self.query_one("#status", Prose).update("\n".join(text.join_to_width(map(shown, self._parts), width)))
        self._key_lines = _wrap_keys(self._keys, width)
        lines = [Text(KEY_GAP).join(key.label for key in line) for line in self._key_lines]
        self.query_one("#keys", Prose).update(Text("\n").join(lines))


def _wrap_keys(keys: tuple[Key, ...], width: int) -> list[list[Key]]:
    """Whole keys on at most ``KEY_LINE_COUNT_MAX`` lines; where they do not fit, those that cannot be used now leave
    first, then those before the last: F10 offers everything by name, so it always stays."""
    left = list(keys)
    while len(lines := _key_lines(left, width)) > KEY_LINE_COUNT_MAX and len(left) > 2:
        blocked = next((index for index in range(len(left) - 1, -1, -1) if left[index].blocked), len(left) - 2)
        del left[blocked]
    return lines


def _key_lines(keys: list[Key], width: int) -> list[list[Key]]:
    lines: list[list[Key]] = []
    used = 0
    for key in keys:
        used += len(KEY_GAP) + key.label.cell_len
        if lines and used <= width:
            lines[-1].append(key)
        else:
            lines.append([key])
            used = key.label.cell_len
    return lines


def _key_at(line: list[Key], x: int) -> str:
    """Which key of a line stands there; empty between two."""
    begin = 0
    for key in line:
        if begin <= x < begin + key.label.cell_len:
            return key.name
        begin += key.label.cell_len + len(KEY_GAP)
    return ""
