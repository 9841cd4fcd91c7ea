"""The screen in a pseudo-terminal over 10,000 studies, Orthanc down: first paint, answer to a key, resident memory.

While keys are pressed, a study of 200 instances arrives and another one is sent, through the store's own functions.
"""

from __future__ import annotations

import itertools
import statistics
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from appliance.clock import SystemClock
from appliance.config import UnitConfig
from appliance.domain.values import ItemState
from appliance.store.connect import open_unit
from appliance.store.intake import keep_instances
from appliance.store.outbox import items_of_study, move_item
from tests.support.unit_store import DESTINATION, kept, made_unit, study_uid
from tests.tui.terminal import CTRL_Q, DOWN, UP, Terminal, terminal

STUDY_COUNT = 10_000
CONFIRMED_COUNT = 9_900
START_COUNT = 5
KEY_COUNT = 300
INSTANCE_COUNT = 200
PAUSE_S = 0.05
FIRST_PAINT_GOAL_S, KEY_GOAL_MS, MEMORY_GOAL_MB = 1.0, 50.0, 120.0
CLOCK = SystemClock()


def run(place: Path, say: Callable[[str], None]) -> dict[str, float]:
    """Medians over starts, the 95th percentile over keys, the highest resident memory seen."""
    place.mkdir(parents=True)
    config = made_unit(place, STUDY_COUNT, now_s=CLOCK.wall_s(), confirmed_count=CONFIRMED_COUNT)
    toml = place / "unit.toml"
    paints = [_first_paint_s(toml) for _ in range(START_COUNT)]
    keys_ms, memory_mb = _keys_ms(config, toml)
    keys_ms.sort()
    result = {
        "first_paint_s_median": round(statistics.median(paints), 3),
        "first_paint_s_worst": round(max(paints), 3),
        "key_ms_median": round(statistics.median(keys_ms), 1),
        "key_ms_p95": round(keys_ms[int(len(keys_ms) * 0.95)], 1),
        "resident_mb": round(memory_mb, 1),
    }
    for name, value in result.items():
        say(f"screen  {name:<24} {value}")
    return result


def _first_paint_s(toml: Path) -> float:
    """From the start of the program to the newest study's line."""
    began_mono_s = CLOCK.mono_s()
    with terminal(toml) as screen:
        screen.wait_for_text(f"PATIENT, Number{STUDY_COUNT - 1}")
        took_s = CLOCK.mono_s() - began_mono_s
        screen.type(CTRL_Q)
        screen.exit_code()
    return took_s


def _keys_ms(config: UnitConfig, toml: Path) -> tuple[list[float], float]:
    took_ms: list[float] = []
    memory_mb = 0.0
    stop = threading.Event()
    with terminal(toml) as screen:
        screen.wait_for_text(f"PATIENT, Number{STUDY_COUNT - 1}")
        work = [threading.Thread(target=each, args=(config, stop)) for each in (_arrive, _send)]
        for thread in work:
            thread.start()
        try:
            for number in range(KEY_COUNT):
                _settle(screen)
                pressed_mono_s = CLOCK.mono_s()
                screen.type(DOWN if number // 10 % 2 == 0 else UP)
                screen.wait_until(lambda: "›" in screen.text, "the selection to move")
                took_ms.append((CLOCK.mono_s() - pressed_mono_s) * 1000)
                memory_mb = max(memory_mb, _resident_mb(screen.pid))
        finally:
            stop.set()
            for thread in work:
                thread.join()
        screen.type(CTRL_Q)
        screen.exit_code()
    return took_ms, memory_mb


def _settle(screen: Terminal) -> None:
    """What was on its way to the screen before the key does not count as its answer."""
    while screen.read(PAUSE_S):
        pass
    screen.seen = b""


def _arrive(config: UnitConfig, stop: threading.Event) -> None:
    """One study's instances, one after the other."""
    with open_unit(config.unit_db) as db:
        for number in range(INSTANCE_COUNT):
            if stop.wait(PAUSE_S):
                return
            stamp = db.stamp()
            one = kept(STUDY_COUNT, stamp)
            uid = f"{study_uid(STUDY_COUNT)}.1.{number + 1}"
            digest = f"{number:064x}"
            instance = replace(
                one.instance,
                sop_instance_uid=uid,
                orthanc_id=digest[:40],
                blob_uuid=f"00000000-0000-0000-0001-{number:012}",
                sha256=digest,
                dataset_sha256=digest,
            )
            keep_instances(db, stamp, [replace(one, instance=instance)], [DESTINATION], None)


def _send(config: UnitConfig, stop: threading.Event) -> None:
    """Another study goes its way, over and over."""
    way = (ItemState.PENDING, ItemState.ENCODING, ItemState.READY, ItemState.SENDING)
    with open_unit(config.unit_db) as db:
        number = CONFIRMED_COUNT
        while not stop.wait(PAUSE_S) and number < STUDY_COUNT:
            for item in items_of_study(db, study_uid(number)):
                for before, after in itertools.pairwise(way):
                    move_item(db, db.stamp(), item.item_id, before, after, "bench", attempt_count=1)
            number += 1


def _resident_mb(pid: int) -> float:
    line = next(
        (line for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines() if "VmRSS" in line), ""
    )
    return int(line.split()[1]) / 1024 if line else 0.0
