"""The one list of what a person can do: it feeds the keys, the key bar, F1's help, the palette and the docs page.

Function keys, Enter, Esc and arrows are the contract (``ux.md`` 1); letters are aliases for those who have them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.domain.sentences import WAITS_FOR_PERSON, unsent
from appliance.domain.snapshot import Snapshot, StudyRow, StudyState


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether an action can be done now."""

    snapshot: Snapshot | None
    selected: StudyRow | None
    undo_offered: bool = False


def _always(_: Situation) -> str:
    return ""


def _needs_study(situation: Situation) -> str:
    return "" if situation.selected else "no study is selected"


def _stat_reason(situation: Situation) -> str:
    study = situation.selected
    if study is None:
        return "no study is selected"
    return "it is complete at the centre" if study.state is StudyState.COMPLETE else ""


def _hold_reason(situation: Situation) -> str:
    study = situation.selected
    if study is None:
        return "no study is selected"
    if study.state is StudyState.COMPLETE:
        return "it is complete at the centre"
    if study.state is StudyState.SET_ASIDE:
        return "it is set aside; retry it instead"
    return "no centre is told to take it" if study.state is StudyState.CAPTURED else ""


def _retry_reason(situation: Situation) -> str:
    study = situation.selected
    if study is None:
        return "no study is selected"
    return "" if study.state is StudyState.SET_ASIDE else "only a study that is set aside can be retried"


def _try_now_reason(situation: Situation) -> str:
    snapshot = situation.snapshot
    if snapshot is None:
        return "the unit's state is not read yet"
    waiting = unsent(snapshot.studies)
    if not waiting:
        return "nothing waits"
    return "all that waits is held or set aside" if waiting[0].state in WAITS_FOR_PERSON else ""


def _undo_reason(situation: Situation) -> str:
    return "" if situation.undo_offered else "nothing was done in the last ten seconds"


def _stat_label(study: StudyRow | None) -> str:
    return "Not STAT" if study and study.stat else "STAT"


def _hold_label(study: StudyRow | None) -> str:
    return "Release" if study and study.state is StudyState.HELD else "Hold"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do.

    Attributes:
        action_id: Stable name; the app has a method ``do_<action_id>``.
        key: As Textual names it; the first of ``aliases`` never stands alone.
        label: One or two words for the key bar; may depend on the selected study.
        help: One sentence.
        blocked: Why it cannot be done now; empty when it can.
    """

    action_id: str
    key: str
    label: Callable[[StudyRow | None], str]
    help: str
    blocked: Callable[[Situation], str] = _always
    aliases: tuple[str, ...] = ()

    @property
    def key_name(self) -> str:
        """As printed on the keyboard: ``F2``, ``Enter``."""
        return self.key.upper() if self.key[0] == "f" and self.key[1:].isdigit() else self.key.capitalize()


def _named(label: str) -> Callable[[StudyRow | None], str]:
    return lambda _: label


ACTIONS: tuple[Action, ...] = (
    Action("help", "f1", _named("Help"), "Explain this page and every key.", aliases=("question_mark",)),
    Action(
        "stat",
        "f2",
        _stat_label,
        "Mark the selected study as urgent: it goes before all others. Again: not urgent.",
        _stat_reason,
        ("s",),
    ),
    Action(
        "hold",
        "f3",
        _hold_label,
        "Keep the selected study here until it is released. Again: release it.",
        _hold_reason,
        ("h",),
    ),
    Action(
        "try_now",
        "f5",
        _named("Try now"),
        "Try the link to the centre at once instead of waiting for the next try.",
        _try_now_reason,
        ("t",),
    ),
    Action("queue", "f6", _named("Queue"), "Show the links, who goes next, and why each study waits.", aliases=("w",)),
    Action("undo", "f7", _named("Undo"), "Take back what was just done, within ten seconds.", _undo_reason, ("u",)),
    Action(
        "retry",
        "f8",
        _named("Retry"),
        "Offer a study that was set aside to the centre again.",
        _retry_reason,
        ("r",),
    ),
    Action("open", "enter", _named("Open"), "Show the selected study: images, delivery and history.", _needs_study),
    Action("more", "f10", _named("More"), "Show everything that can be done, by name.", aliases=("ctrl+p",)),
    Action(
        "leave", "ctrl+q", _named("Leave"), "Leave this screen; the unit goes on receiving and sending.", aliases=("q",)
    ),
)


def action(action_id: str) -> Action:
    """The action of that name.

    Raises:
        KeyError: If there is none.
    """
    for one in ACTIONS:
        if one.action_id == action_id:
            return one
    raise KeyError(action_id)
