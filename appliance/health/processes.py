"""Do the unit's own processes say that they live? They write their facts about once a second."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.domain.wording import told
from appliance.health.check import Level, Result, Subject
from appliance.live import STALE_S, read_live
from appliance.services import activation as services

PROCESSES = {
    "unit": (told("The supervisor"), told("nothing that stops is started again")),
    "gatekeeper": (told("The gatekeeper"), told("no modality can send")),
    "intake": (told("Intake"), told("received images are kept but not queued")),
    "sync": (told("Sync"), told("nothing goes to the centre")),
    "quality": (told("Checks"), told("pictures are neither matched nor checked, and watched folders stand still")),
    "services": (
        told("The process for MPPS and commitment"),
        told("what devices say of their work is refused for now"),
    ),
}
"""Name of the live facts, who it is, and what its silence means."""


def check(subject: Subject) -> Iterable[Result]:
    """One answer for each process, or one for all when the unit does not run."""
    facts = {name: read_live(subject.config.run_dir, name, subject.clock) for name in PROCESSES}
    if not any(facts[name] for name in PROCESSES if name != services.NAME):
        sentence = told("The unit is not running: nothing is received or sent. What is stored here is safe.")
        return [Result("processes", Level.WARNING, sentence, told("Start it with 'qafila unit run'."))]
    results = []
    for name, (title, meaning) in PROCESSES.items():
        live = facts[name]
        if name == services.NAME and _rests(subject):
            results.append(Result(name, Level.FINE, told("{process} rests until a device calls.", process=title)))
        elif live is None:
            sentence = told(
                "{process} has been silent for {count} s or more: {meaning}.",
                process=title,
                count=round(STALE_S),
                meaning=meaning,
            )
            hint = told("The supervisor starts it again by itself; its log says why it ended.")
            results.append(Result(name, Level.ALARM, sentence, hint))
        else:
            results.append(
                Result(name, Level.FINE, told("{process} runs.", process=title), "", {"pid": int(live.get("pid", 0))})
            )
    return results


def _rests(subject: Subject) -> bool:
    """Whether the services ended because nothing wanted them, or were not wanted in this boot."""
    last = read_live(subject.config.run_dir, services.NAME, subject.clock, stale_s=float("inf"))
    return last is None or bool(last.get("is_at_rest"))
