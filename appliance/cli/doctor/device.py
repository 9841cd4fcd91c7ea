"""``qafila doctor device [NAME]``: tries devices out, step by step, and keeps what was seen for the next time.

With a name it waits for the person at the device, until all is settled or Ctrl-C; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import difflib
import threading
from collections.abc import Collection, Sequence
from typing import Any

from appliance.cli.common import CLOCK, config_of, print_json
from appliance.cli.exits import FINE, INTERRUPTED, NEEDS_PERSON, NOT_FOUND, USAGE, CliError
from appliance.cli.wishes import WRITE_WAIT_S, actor
from appliance.commissioning.reach import Reached, reach
from appliance.commissioning.session import Session, open_session
from appliance.config import ModalityTable, UnitConfig
from appliance.domain.commissioning import WAIVABLE, Looked, Outcome, Step
from appliance.domain.display import safe_text
from appliance.store.connect import Store, open_unit

LOOK_S = 0.5
TRY_AGAIN_S = 10.0
"""Between two calls to a device that could not be reached."""
_CALLS = frozenset({Step.PING, Step.PORT, Step.TITLE_OUT, Step.ECHO})
"""What is found out by calling the device."""
_MARKS = {
    Outcome.FINE: "fine",
    Outcome.FAILED: "FAILED",
    Outcome.WAITING: "waits",
    Outcome.SKIPPED: "-",
    Outcome.WAIVED: "not there",
}


def run(arguments: argparse.Namespace) -> int:
    """Try out the device that is named, or look once at every one."""
    config = config_of(arguments)
    waived = _steps(arguments.without)
    devices = _devices(config, arguments.name)
    with open_unit(config.unit_db, wait_s=WRITE_WAIT_S, clock=CLOCK) as db:
        tries = [_Try(_opened(arguments, config, db, device), waived, not arguments.json) for device in devices]
        is_waiting = bool(arguments.name) and not arguments.no_wait
        code = FINE
        try:
            for one in tries:
                one.begin()
            while is_waiting and tries[0].session.is_open:
                tries[0].go_on()
        except KeyboardInterrupt:
            code = INTERRUPTED
        if arguments.json:
            print_json({"devices": [_facts(one.session) for one in tries]})
    if code == INTERRUPTED and not arguments.json:
        print("\nInterrupted. What was seen is kept; the same command goes on from here.")
    if code == FINE and any(one.session.record.state != "passed" for one in tries):
        return NEEDS_PERSON
    return code


class _Try:
    """One device on its way through the steps, told as it goes."""

    def __init__(self, session: Session, waived: Collection[Step], is_told: bool) -> None:
        self.session = session
        self._waived = waived
        self._is_told = is_told
        self._told: dict[Step, Looked] = {}
        self._reached = Reached()
        self._called_mono_s = float("-inf")
        self._pause = threading.Event()

    def begin(self) -> None:
        """Say whom it is about, and look once; one that has passed is only shown."""
        record = self.session.record
        self._say(f"{_title(self.session.device)}, since {record.began_at}:")
        if self.session.is_open:
            self._look()
        else:
            for row in record.steps:
                self._tell(Looked(step=row.step, outcome=row.outcome, sentence=row.sentence, hint=row.hint))
        self._say_end()

    def go_on(self) -> None:
        """Wait a moment, and look again."""
        self._pause.wait(LOOK_S)
        self._look()
        self._say_end()

    def _look(self) -> None:
        if self._is_call_due():
            session = self.session
            self._reached = reach(session.config, session.device, session.last_peer, CLOCK)
            self._called_mono_s = CLOCK.mono_s()
        for looked in self.session.look(self._reached, self._waived):
            self._tell(looked)

    def _is_call_due(self) -> bool:
        if CLOCK.mono_s() - self._called_mono_s < TRY_AGAIN_S:
            return False
        settled = {row.step for row in self.session.record.steps if row.outcome.is_settled}
        return not settled >= _CALLS or self._called_mono_s == float("-inf")

    def _tell(self, looked: Looked) -> None:
        """What is new since it was told last."""
        if self._told.get(looked.step) == looked:
            return
        self._told[looked.step] = looked
        self._say(f"  {_MARKS[looked.outcome]:<10}{looked.step:<11} {looked.sentence}")
        if looked.hint and not looked.outcome.is_settled:
            self._say(f"{'':<24}{looked.hint}")

    def _say_end(self) -> None:
        if self.session.record.state == "passed":
            self._say(f"  Passed on {self.session.record.ended_at}. '--again' begins anew.")

    def _say(self, line: str) -> None:
        if self._is_told:
            print(line, flush=True)


def _opened(arguments: argparse.Namespace, config: UnitConfig, db: Store, device: ModalityTable) -> Session:
    return open_session(
        config,
        db,
        device,
        CLOCK,
        actor=actor(),
        modality=arguments.modality.strip().upper(),
        again=arguments.again,
    )


def _devices(config: UnitConfig, name: str | None) -> Sequence[ModalityTable]:
    """The one that is meant, or all.

    Raises:
        CliError: There is none of that name, or none at all.
    """
    if not config.modality:
        raise CliError(
            "No device is listed in the configuration. Nothing was done. Add a [[modality]] with its ae_title.",
            NOT_FOUND,
            "no-devices",
        )
    if name is None:
        return config.modality
    found = [one for one in config.modality if name.strip() in (one.ae_title.strip(" "), one.name)]
    if found:
        return found[:1]
    titles = [one.ae_title.strip(" ") for one in config.modality]
    near = difflib.get_close_matches(name, titles, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else f"There is: {', '.join(titles)}."
    raise CliError(
        f"No device {safe_text(name)!r} is listed under [[modality]]. Nothing was done. {hint}", NOT_FOUND, "no-device"
    )


def _steps(words: str) -> frozenset[Step]:
    """``--without``.

    Raises:
        CliError: For a word that is no step, or one without which a device cannot be used.
    """
    wanted = [word.strip() for word in words.split(",") if word.strip()]
    known = sorted(WAIVABLE)
    strange = [word for word in wanted if word not in known]
    if strange:
        raise CliError(
            f"--without {safe_text(strange[0])} cannot be. Nothing was done. A device may lack: {', '.join(known)}.",
            USAGE,
            "no-such-step",
        )
    return frozenset(map(Step, wanted))


def _title(device: ModalityTable) -> str:
    title = device.ae_title.strip(" ")
    return f"{title} ({device.name})" if device.name else title


def _facts(session: Session) -> dict[str, Any]:
    record = session.record
    return {
        "ae_title": record.ae_title,
        "name": session.device.name,
        "state": record.state,
        "began_at": record.began_at,
        "ended_at": record.ended_at,
        "accession_number": session.exam.accession_number,
        "steps": record.steps,
    }
