"""The whole way of films over loopback: original megabits a second and core of the unit, gateway and encoder included.

From the first C-STORE to the last receipt. The processor time of sync and of the encoder's workers is what the goal is
about: at least 100 Mbit/s of original DICOM a core at effort 1, so that a good Wi-Fi is used. The other processes of
the unit, which take the films in, stand beside it; so does the time by the wall, in which the centre and the modality
work on the same cores.
"""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Callable
from pathlib import Path

from appliance.clock import SystemClock
from appliance.dicom.phantom import write_phantom_chest
from tests.support.corpus import Sendable, c_store
from tests.support.orthancs import orthanc_commands
from tests.support.world import Unit, enrol, gateway_destination, make_unit, running_centre, wait_for

FILM_COUNT = 12
ROUNDS = 3
SETTLE_S_MAX = 300.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CLOCK = SystemClock()


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Medians over the rounds, for 12-bit chest phantoms of 3000 x 2500 pixels."""
    orthanc = orthanc_commands()[0]
    with running_centre(folder / "centre", orthanc) as centre:
        unit = make_unit(folder / "unit", orthanc, gateway_destination(centre.gateway_url))
        enrol(unit, centre)
        unit.start()
        try:
            _deliver(unit, folder / "first", range(1))  # what is measured has been at work: it knows the link
            rounds = [_round(unit, folder / str(number), number) for number in range(ROUNDS)]
        finally:
            unit.stop()
        efforts = _efforts(unit)
    result: dict[str, object] = {name: round(statistics.median(each[name] for each in rounds), 1) for name in rounds[0]}
    result["films_by_effort"] = efforts
    say(f"loopback: {result} (goal: 100 Mbit/s a core of sync and workers at effort 1)")
    return result


def _round(unit: Unit, folder: Path, number: int) -> dict[str, float]:
    before, start_s = _cpu_s(unit), _CLOCK.mono_s()
    seeds = range(1000 * (number + 1), 1000 * (number + 1) + FILM_COUNT)
    mbit, sent_s = _deliver(unit, folder, seeds)
    wall_s = _CLOCK.mono_s() - start_s
    spent = {name: cpu_s - before[name] for name, cpu_s in _cpu_s(unit).items()}
    ours = spent["sync"] + spent["encoder"]
    return {
        "mbit_per_core_s": mbit / ours,
        "mbit_per_core_s_with_reception": mbit / sum(spent.values()),
        "mbit_per_wall_s": mbit / (wall_s - sent_s),
        **{f"{name}_cpu_ms_per_film": 1000 * cpu_s / FILM_COUNT for name, cpu_s in spent.items()},
    }


def _deliver(unit: Unit, folder: Path, seeds: range) -> tuple[float, float]:
    """Original megabits that were confirmed, and seconds in which the films were made and not yet sent."""
    start_s = _CLOCK.mono_s()
    films = [_film(folder, seed) for seed in seeds]
    made_s = _CLOCK.mono_s() - start_s
    for film in films:
        if c_store(film, unit.config.dicom.port) != 0:
            raise RuntimeError(f"the unit did not take {film.name}")
    uids = {film.sop_instance_uid for film in films}
    wait_for(lambda: uids <= unit.confirmed_uids(), "delivery", SETTLE_S_MAX)
    return sum(film.path.stat().st_size for film in films) * 8 / 1e6, made_s


def _film(folder: Path, seed: int) -> Sendable:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{seed}.dcm"
    film = write_phantom_chest(path, seed=seed)
    uids = (str(film.SOPClassUID), str(film.SOPInstanceUID), str(film.file_meta.TransferSyntaxUID))
    return Sendable(path.name, path, *uids, fault="")


def _cpu_s(unit: Unit) -> dict[str, float]:
    """Processor seconds so far by process, with the children that it started; the encoder's workers are sync's."""
    pids = unit.child_pids()
    found = {name: _cpu_of(pid) for name, pid in pids.items()}
    found["encoder"] = found["sync"] - _own_cpu_s(pids["sync"])
    found["sync"] -= found["encoder"]
    return found


def _own_cpu_s(pid: int) -> float:
    return sum(_ticks(pid)[:2]) / _TICKS_PER_S


def _cpu_of(pid: int) -> float:
    own_s = sum(_ticks(pid)) / _TICKS_PER_S
    tasks = Path(f"/proc/{pid}/task").iterdir()
    running = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    return own_s + sum(_cpu_of(child) for child in running)


def _ticks(pid: int) -> list[int]:
    """User and system, and both of children that ended."""
    return [int(ticks) for ticks in Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:15]]


def _efforts(unit: Unit) -> dict[str, int]:
    text = unit.log_file.read_text(encoding="utf-8", errors="replace")
    found = re.findall(r"sync\.encoder coded .* effort=(\d+)", text)
    return {effort: found.count(effort) for effort in sorted(set(found))}
