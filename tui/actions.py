"""The one list of what a person can do: it feeds the keys, the key bar, F1's help, the palette and the docs page.

Function keys, Enter, Esc and arrows are the contract (``ux.md`` 1); letters are aliases for those who have them. A page
names the actions it offers (``Page.ACTION_IDS``); one key may do different things on different pages, never on one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from appliance.domain.sentences import WAITS_FOR_PERSON, unsent
from appliance.domain.snapshot import Snapshot, StudyRow, StudyState
from appliance.domain.wording import Wording, message, told

Reason = str
"""Why something cannot be done now: a ``Wording``, or empty when it can."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether an action can be done now."""

    snapshot: Snapshot | None
    selected: StudyRow | None
    undo_offered: bool = False
    is_supervisor: bool = True
    """Of whoever is signed in; everybody is one where nobody signs in."""


def _always(_: Situation) -> Reason:
    return ""


_NO_STUDY = told("no study is selected")
_TO_COME = told("no picture of it has come yet")
_COMPLETE = told("it is complete at the centre")


def needs_study(situation: Situation) -> Reason:
    """For what is done to the selected study."""
    return "" if situation.selected else _NO_STUDY


def needs_supervisor(situation: Situation) -> Reason:
    """For what is hard to reverse."""
    return "" if situation.is_supervisor else told("a supervisor does that")


def _open_reason(situation: Situation) -> Reason:
    study = situation.selected
    if study is None:
        return _NO_STUDY
    return _TO_COME if study.state is StudyState.REGISTERED else ""


def _stat_reason(situation: Situation) -> Reason:
    study = situation.selected
    if study is None:
        return _NO_STUDY
    if study.state is StudyState.REGISTERED:
        return _TO_COME
    return _COMPLETE if study.state is StudyState.COMPLETE else ""


def _hold_reason(situation: Situation) -> Reason:
    study = situation.selected
    if study is None:
        return _NO_STUDY
    if study.state is StudyState.REGISTERED:
        return _TO_COME
    if study.state is StudyState.COMPLETE:
        return _COMPLETE
    if study.state is StudyState.SET_ASIDE:
        return told("it is set aside; retry it instead")
    return told("no centre is told to take it") if study.state is StudyState.CAPTURED else ""


def _retry_reason(situation: Situation) -> Reason:
    study = situation.selected
    if study is None:
        return _NO_STUDY
    return "" if study.state is StudyState.SET_ASIDE else told("only a study that is set aside can be retried")


def _send_now_reason(situation: Situation) -> Reason:
    study = situation.selected
    if study is None:
        return _NO_STUDY
    if study.state is StudyState.COMPLETE:
        return _COMPLETE
    if study.state is StudyState.CAPTURED:
        return told("no centre is told to take it")
    return told("it is held; release it first") if study.state is StudyState.HELD else ""


def _try_now_reason(situation: Situation) -> Reason:
    snapshot = situation.snapshot
    if snapshot is None:
        return told("the unit's state is not read yet")
    waiting = unsent(snapshot.studies)
    if not waiting:
        return told("nothing waits")
    return told("all that waits is held or set aside") if waiting[0].state in WAITS_FOR_PERSON else ""


def _undo_reason(situation: Situation) -> Reason:
    return "" if situation.undo_offered else told("nothing was done in the last ten seconds")


def _stat_label(study: StudyRow | None) -> Wording:
    return told("Not STAT") if study and study.stat else told("STAT")


def _hold_label(study: StudyRow | None) -> Wording:
    return told("Release") if study and study.state is StudyState.HELD else told("Hold")


ARABIC_PLACES = dict(zip("qwertyuiopasdfghjklzxcvnm", "ضصثقفغعهخحشسيبلاتنمئءؤرىة", strict=True))
"""Letters that stand on one key of the Arabic (101) layout; its B writes two letters and is no alias anywhere."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do.

    Attributes:
        action_id: Stable name; the page, or else the app, has a method ``do_<action_id>``.
        key: As Textual names it; the first of ``aliases`` never stands alone. Empty: only in the palette.
        label: One or two words for the key bar; may depend on the selected study.
        help: One sentence.
        blocked: Why it cannot be done now; empty when it can. A page may know more (``Page.blocked``).
    """

    action_id: str
    key: str
    label: Callable[[StudyRow | None], Wording]
    help: Wording
    blocked: Callable[[Situation], Reason] = _always
    aliases: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that does it, whatever layout is active: where it writes Arabic, the letter in the same place."""
        arabic = tuple(ARABIC_PLACES[alias] for alias in self.aliases if alias in ARABIC_PLACES)
        return (self.key, *self.aliases, *arabic) if self.key else (*self.aliases, *arabic)

    @property
    def key_name(self) -> str:
        """As printed on the keyboard: ``F2``, ``Enter``."""
        return key_name(self.key)


KEY_WORDS: dict[str, Wording] = {"enter": told("Enter"), "space": told("Space")}


def key_name(key: str) -> str:
    """As printed on the keyboard, in English until it is shown."""
    if key in KEY_WORDS:
        return KEY_WORDS[key]
    return key.upper() if key[:1] == "f" and key[1:].isdigit() else key.capitalize()


def named(label: Wording) -> Callable[[StudyRow | None], Wording]:
    """A label that is always the same."""
    return lambda _: label


WHILE_LOCKED = ("help", "speak", "power_off", "leave")

EVERYWHERE = ("help", "pages", "speak", "power_off", "more", "lock", "leave")
"""Offered on every page, by key and by name."""
IN_EVERY_BAR = ("power_off",)

UNDO_KINDS = {"stat": "routine", "routine": "stat", "hold": "release", "release": "hold"}
SAID = {
    "stat": message("Marked STAT: {name}. It goes first."),
    "routine": message("No longer STAT: {name}."),
    "hold": message("Held: {name}. It stays here until it is released."),
    "release": message("Released: {name}. It goes on by itself."),
    "retry": message("Tried again now: {name}."),
}
"""What is said of a study once its command is given."""

ACTIONS: tuple[Action, ...] = (
    Action("help", "f1", named(told("Help")), told("Explain this page and every key."), aliases=("question_mark",)),
    Action(
        "stat",
        "f2",
        _stat_label,
        told("Mark the selected study as urgent: it goes before all others. Again: not urgent."),
        _stat_reason,
        ("s",),
    ),
    Action(
        "emergency", "f2", named(told("Emergency")), told("Register an emergency at once: everything may be missing.")
    ),
    Action(
        "hold",
        "f3",
        _hold_label,
        told("Keep the selected study here until it is released. Again: release it."),
        _hold_reason,
        ("h",),
    ),
    Action("exam", "f3", named(told("Exam")), told("Choose the exam from the list.")),
    Action("speak", "f4", named(told("Language")), told("Switch the language of the screen: French, English, Arabic.")),
    Action(
        "try_now",
        "f5",
        named(told("Try now")),
        told("Try the link to the centre at once instead of waiting for the next try."),
        _try_now_reason,
        ("t",),
    ),
    Action(
        "known",
        "f5",
        named(told("Known person")),
        told("Take the person of the list of those who may be known already, instead of a new one."),
    ),
    Action(
        "reject",
        "f5",
        named(told("Reject")),
        told("Set the marked images aside for a reason of the list; they are kept, and not sent any more."),
        aliases=("x",),
    ),
    Action(
        "check_again", "f5", named(told("Look again")), told("Look at everything on this page again."), aliases=("t",)
    ),
    Action(
        "queue",
        "f6",
        named(told("Delivery")),
        told("Show the links, who goes next, and why each study waits."),
        aliases=("w",),
    ),
    Action(
        "problem",
        "f6",
        named(told("Next problem")),
        told("Go to the next thing that was found, and show its image."),
        aliases=("n",),
    ),
    Action("verify", "f6", named(told("Read back")), told("Read the chosen stick back, and change nothing.")),
    Action(
        "send_now",
        "f6",
        named(told("Send now")),
        told("Offer the selected study to the link at once, also after a refusal."),
        _send_now_reason,
        ("n",),
    ),
    Action(
        "change_pin",
        "f6",
        named(told("Other PIN")),
        told("Give the chosen person another PIN; what was tried wrongly is forgotten."),
        needs_supervisor,
    ),
    Action(
        "undo",
        "f7",
        named(told("Undo")),
        told("Take back what was just done, within ten seconds."),
        _undo_reason,
        ("u",),
    ),
    Action("stop", "f7", named(told("Stop")), told("End the copying in good order; it can be gone on with later.")),
    Action(
        "clear",
        "f7",
        named(told("Empty")),
        told("Empty the form; pressed again, it brings back what was there."),
    ),
    Action("bring", "f8", named(told("Take receipts")), told("Take in what the centre wrote onto the chosen stick.")),
    Action(
        "remove_person",
        "f8",
        named(told("Remove")),
        told("Let the chosen person sign in no more; what they did stays theirs."),
        needs_supervisor,
    ),
    Action(
        "retry",
        "f8",
        named(told("Retry")),
        told("Offer a study that was set aside to the centre again."),
        _retry_reason,
        ("r",),
    ),
    Action(
        "register",
        "f9",
        named(told("New patient")),
        told("Register a person and an exam; consoles see it at once."),
        aliases=("p",),
    ),
    Action(
        "carry",
        "f9",
        named(told("Copy to stick")),
        told("Copy all that the centre has no receipt for onto the chosen stick, and read it back."),
    ),
    Action(
        "correct",
        "f9",
        named(told("Correct")),
        told("Correct whose study it is or what it says; split images off; make two records of a patient one."),
        aliases=("c",),
    ),
    Action(
        "seen",
        "f9",
        named(told("Seen")),
        told("Tell the centre that it was seen, by whom and when."),
    ),
    Action(
        "add_person",
        "f9",
        named(told("Add")),
        told("Let somebody sign in: a name, a role, and a PIN of their own."),
        needs_supervisor,
    ),
    Action("save", "f9", named(told("Register")), told("Write the person and the exam down; consoles see it at once.")),
    Action(
        "open",
        "enter",
        named(told("Open")),
        told("Show the selected study: images, delivery and history."),
        _open_reason,
    ),
    Action("look", "enter", named(told("Look")), told("Show the chosen image as large as the screen allows.")),
    Action("mark", "space", named(told("Mark")), told("Mark the chosen image, or take the mark away.")),
    Action("pages", "f11", named(told("Pages")), told("Go to another page."), aliases=("g",)),
    Action(
        "power_off",
        "f12",
        named(told("Power off")),
        told("Prepare to power off: say what is being written and what is not yet at the centre; take no new study."),
    ),
    Action("more", "f10", named(told("More")), told("Show everything that can be done, by name."), aliases=("ctrl+p",)),
    Action("lock", "", named(told("Lock")), told("Lock the screen, or let another person sign in.")),
    Action(
        "leave",
        "ctrl+q",
        named(told("Leave")),
        told("Leave this screen; the unit goes on receiving and sending."),
        aliases=("q",),
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


def offered(action_ids: Iterable[str]) -> tuple[Action, ...]:
    """A page's actions and those of every page, in the order of the list."""
    wanted = {*action_ids, *EVERYWHERE}
    return tuple(one for one in ACTIONS if one.action_id in wanted)


def for_key(key: str, action_ids: Iterable[str]) -> Action | None:
    """What a key does on a page that offers ``action_ids``."""
    return next((one for one in offered(action_ids) if key in one.keys), None)
