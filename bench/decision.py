"""The engine's decision with 10,000 waiting items, the store's candidate query included. Goal: under 5 ms.

At a plain destination; at a gateway, where a class is a query of its own, with nothing announced yet, and with every
other item announced and one study in twenty STAT; and there with everything dear at once: the turn of the oldest
routine item, attempts before age, and as many items in back-off as the engine remembers.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from appliance.clock import SystemClock
from appliance.domain.limits import LimitSet
from appliance.domain.values import Priority
from appliance.store import outbox
from appliance.store.connect import Store, write
from appliance.store.intake import keep_instances
from sync.core.effects import Effect, NeedCandidates
from sync.core.engine import Engine
from sync.core.events import CandidatesOffered, LinkChanged, Restarted, WorkArrived
from sync.core.policy import Policy
from tests.store.made import fresh_unit, made_kept, made_stamp

WAITING_COUNT = 10_000
ROUNDS = 200


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Milliseconds for one decision, from news to chosen items, by case."""
    folder.mkdir(parents=True)
    gateway = Policy(announcing=frozenset({"centre"}))
    with fresh_unit(folder) as store:
        for start in range(0, WAITING_COUNT, 500):
            rows = [made_kept(number, study=number // 4) for number in range(start, start + 500)]
            keep_instances(store, made_stamp(start), rows, ["centre"], None)
        times_ms = {"plain": _times_ms(store, Policy()), "gateway, nothing announced": _times_ms(store, gateway)}
        _announce_half(store)
        times_ms["gateway, half announced, STAT"] = _times_ms(store, gateway)
        in_back_off = _ids(store)[:: WAITING_COUNT // LimitSet().backoff_item_count_max]
        times_ms["gateway, all at once"] = _times_ms(
            store,
            gateway,
            lambda need: replace(need, skip_item_ids=in_back_off, least_tried_first=True, with_oldest=True),
        )
    results: dict[str, object] = {}
    for case, found in times_ms.items():
        median, p95 = statistics.median(found), statistics.quantiles(found, n=20)[-1]
        say(f"decision with {WAITING_COUNT} waiting, {case}: median {median:.2f} ms, p95 {p95:.2f} ms (goal < 5 ms)")
        results[case] = {"median_ms": round(median, 2), "p95_ms": round(p95, 2)}
    return results


def _announce_half(store: Store) -> None:
    ids = _ids(store)
    outbox.set_priority(store, made_stamp(1), [i for i in ids if i // 4 % 20 == 0], Priority.STAT, "bench")
    with write(store):
        store.change("UPDATE outbox SET announced_at = ? WHERE item_id % 2 = 0", (made_stamp(1).at,))


def _ids(store: Store) -> tuple[int, ...]:
    return tuple(row[0] for row in store.rows("SELECT item_id FROM outbox ORDER BY item_id"))


def _times_ms(
    store: Store, policy: Policy, asked: Callable[[NeedCandidates], NeedCandidates] = lambda need: need
) -> list[float]:
    clock, found = SystemClock(), []
    for _ in range(ROUNDS):
        engine = Engine(policy)
        engine.handle(Restarted((), ("centre",)), 0.0)
        effects = list(engine.handle(LinkChanged("centre", up=True), 0.0))
        start_s = clock.mono_s()
        effects += engine.handle(WorkArrived(), 1.0)
        chosen = [each for need in _needs(effects) for each in _decide(store, engine, asked(need))]
        found.append((clock.mono_s() - start_s) * 1000)
        assert chosen
    return found


def _needs(effects: list[Effect]) -> Iterator[NeedCandidates]:
    return (each for each in effects if isinstance(each, NeedCandidates))


def _decide(store: Store, engine: Engine, need: NeedCandidates) -> list[Effect]:
    """As the runner answers it."""
    offered = outbox.candidates(
        store,
        need.destination,
        need.count,
        need.skip_item_ids,
        least_tried_first=need.least_tried_first,
        classes=need.classes,
        announces=need.announces,
    )
    oldest = None
    if need.with_oldest:
        oldest = outbox.oldest_routine(
            store, need.destination, need.skip_item_ids, classes=need.classes, announces=need.announces
        )
    return list(engine.handle(CandidatesOffered(need.destination, offered, oldest), 1.0))
