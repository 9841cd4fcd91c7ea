"""From the C-STORE response to the row in the outbox. Goal: under 1 s at the 95th percentile."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

from appliance.clock import SystemClock
from tests.support.orthancs import orthanc_commands
from tests.support.world import Modality, Unit, make_unit, wait_for

COUNT = 200


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Seconds at the median and the 95th percentile for every Orthanc here."""
    results: dict[str, object] = {}
    clock = SystemClock()
    for orthanc in orthanc_commands():
        unit = make_unit(folder / Path(orthanc).name, orthanc, "")
        unit.start()
        seconds: list[float] = []
        try:
            modality = Modality(unit.config.dicom.port)
            for _ in range(COUNT):
                told = modality.send(1)[0]
                _wait_for_row(unit, told.sop_instance_uid)
                seconds.append(clock.mono_s() - told.at_mono_s)
        finally:
            unit.stop()
        p95 = statistics.quantiles(seconds, n=20)[-1]
        name = Path(orthanc).name
        results[name] = {"median_s": round(statistics.median(seconds), 3), "p95_s": round(p95, 3)}
        say(f"outbox latency {name}: median {statistics.median(seconds):.3f} s, p95 {p95:.3f} s (goal < 1 s)")
    return results


def _wait_for_row(unit: Unit, sop_instance_uid: str) -> None:
    wait_for(lambda: sop_instance_uid in unit.known_uids(), "the row in the outbox")
