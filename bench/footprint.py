"""Start to ready, and the resident memory of everything of ours on a unit at work, without Orthanc.

Goals: ready within 5 s plus Orthanc's own start; under 200 MB. Shared pages are counted once for each process (RSS) and
divided among their users (PSS); the goal is held against the larger sum.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable
from pathlib import Path

from appliance.clock import SystemClock
from tests.support.orthancs import orthanc_commands, start_orthanc
from tests.support.promises import settled
from tests.support.world import Modality, dicomweb_destination, make_unit, running_centre, wait_for

STARTS = 5
SEND_COUNT = 40


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Seconds and megabytes for every Orthanc here."""
    results: dict[str, object] = {}
    for orthanc in orthanc_commands():
        name = Path(orthanc).name
        with running_centre(folder / name / "centre", orthanc) as centre:
            unit = make_unit(folder / name / "unit", orthanc, dicomweb_destination(centre.dicomweb_url))
            ready_s, bare_s = [], []
            for number in range(STARTS):
                bare_s.append(_bare_start_s(folder / name / f"bare-{number}", orthanc))
                start_s = SystemClock().mono_s()
                unit.start()
                ready_s.append(SystemClock().mono_s() - start_s)
                if number < STARTS - 1:
                    unit.stop()
            modality = Modality(unit.config.dicom.port, size_bytes=2_000_000)
            modality.send(SEND_COUNT)
            wait_for(lambda: settled(unit, modality.told), "delivery")  # noqa: B023 - called at once
            assert unit.process is not None
            pids = {**unit.child_pids(), "supervisor": unit.process.pid}
            memory = {child: _memory_mb(pid, with_children=child != "supervisor") for child, pid in pids.items()}
            del memory["orthanc"]
            unit.stop()
        ready, bare = statistics.median(ready_s), statistics.median(bare_s)
        rss, pss = (sum(pair[index] for pair in memory.values()) for index in (0, 1))
        results[name] = {
            "ready_s": round(ready, 2),
            "orthanc_alone_s": round(bare, 2),
            "rss_mb": {child: round(pair[0], 1) for child, pair in memory.items()},
            "rss_sum_mb": round(rss, 1),
            "pss_sum_mb": round(pss, 1),
        }
        say(f"start {name}: ready in {ready:.2f} s, Orthanc alone {bare:.2f} s (goal: 5 s more)")
        say(f"memory {name}: {rss:.0f} MB RSS, {pss:.0f} MB PSS in {len(memory)} processes (goal < 200 MB)")
    return results


def _bare_start_s(folder: Path, orthanc: str) -> float:
    start_s = SystemClock().mono_s()
    with start_orthanc(orthanc, {}, folder) as handle:
        handle.wait_ready()
        return SystemClock().mono_s() - start_s


def _memory_mb(pid: int, *, with_children: bool = True) -> tuple[float, float]:
    """RSS and PSS of a process; with the children it started itself, such as intake's parser."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = {key: int(re.search(rf"^{key}: +(\d+) kB", text, re.M)[1]) / 1024 for key in ("Rss", "Pss")}  # type: ignore[index]  # the kernel always prints both
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    below = [_memory_mb(int(child)) for child in children] if with_children else []
    return found["Rss"] + sum(b[0] for b in below), found["Pss"] + sum(b[1] for b in below)
