"""Do the unit's own processes say that they live? They write their facts about once a second."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.health.check import Level, Result, Subject
from appliance.live import STALE_S, read_live

PROCESSES = {
    "unit": ("The supervisor", "nothing that stops is started again"),
    "gatekeeper": ("The gatekeeper", "no modality can send"),
    "intake": ("Intake", "received images are kept but not queued"),
    "sync": ("Sync", "nothing goes to the centre"),
}
"""Name of the live facts, who it is, and what its silence means."""


def check(subject: Subject) -> Iterable[Result]:
    """One answer for each process, or one for all when the unit does not run."""
    facts = {name: read_live(subject.config.run_dir, name, subject.clock) for name in PROCESSES}
    if not any(facts.values()):
        sentence = "The unit is not running: nothing is received or sent. What is stored here is safe."
        return [Result("processes", Level.WARNING, sentence, "Start it with 'qafila unit run'.")]
    results = []
    for name, (title, meaning) in PROCESSES.items():
        live = facts[name]
        if live is None:
            sentence = f"{title} has been silent for {STALE_S:.0f} s or more: {meaning}."
            hint = "The supervisor starts it again by itself; its log says why it ended."
            results.append(Result(name, Level.ALARM, sentence, hint))
        else:
            results.append(Result(name, Level.FINE, f"{title} runs.", "", {"pid": int(live.get("pid", 0))}))
    return results
