"""The engine's decision with 10,000 waiting items, the store's candidate query included. Goal: under 5 ms."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

from appliance.clock import SystemClock
from appliance.store import outbox
from appliance.store.intake import keep_instances
from sync.core.effects import NeedCandidates
from sync.core.engine import Engine
from sync.core.events import CandidatesOffered, LinkChanged, Restarted, WorkArrived
from sync.core.policy import Policy
from tests.store.made import fresh_unit, made_kept, made_stamp

WAITING_COUNT = 10_000
ROUNDS = 200


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Milliseconds for one decision: from news to chosen items."""
    folder.mkdir(parents=True)
    clock = SystemClock()
    times_ms: list[float] = []
    with fresh_unit(folder) as store:
        for start in range(0, WAITING_COUNT, 500):
            rows = [made_kept(number, study=number // 4) for number in range(start, start + 500)]
            keep_instances(store, made_stamp(start), rows, ["centre"], None)
        for _ in range(ROUNDS):
            engine = Engine(Policy())
            engine.handle(Restarted((), ("centre",)), 0.0)
            engine.handle(LinkChanged("centre", up=True), 0.0)
            start_s = clock.mono_s()
            wanted = [e for e in engine.handle(WorkArrived(), 1.0) if isinstance(e, NeedCandidates)]
            for need in wanted or [NeedCandidates("centre", 64)]:
                offered = outbox.candidates(store, need.destination, need.count, need.skip_item_ids)
                engine.handle(CandidatesOffered(need.destination, offered), 1.0)
            times_ms.append((clock.mono_s() - start_s) * 1000)
    median, p95 = statistics.median(times_ms), statistics.quantiles(times_ms, n=20)[-1]
    say(f"decision with {WAITING_COUNT} waiting: median {median:.2f} ms, p95 {p95:.2f} ms (goal < 5 ms)")
    return {"median_ms": round(median, 2), "p95_ms": round(p95, 2)}
