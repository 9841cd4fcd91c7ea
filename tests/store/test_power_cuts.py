"""The real schema and statements on a disk that loses power: nothing acknowledged is lost, nothing is there by half."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.store.crash_load import Load, record_door, record_unit
from tests.store.crash_seeds import BrokenPromiseError, Rules, plan_of, run_machine, run_seed

SEED_COUNT = 200


def test_nothing_committed_is_lost_over_random_power_cuts() -> None:
    cut_count = sum(run_seed(seed) for seed in range(SEED_COUNT))

    assert cut_count > SEED_COUNT


@pytest.mark.fault(6)
def test_store_is_whole_after_a_power_cut_at_any_change_while_checkpoints_run() -> None:
    """Every single change of the disk while the WAL is checkpointed after each two pages."""
    plan = plan_of(record_door, 0)
    cuts = [
        run_machine(plan, [cut_at], seed=cut_at, checkpoint_pages=2, from_empty=False)
        for cut_at in range(1, plan.change_count + 1)
    ]

    assert sum(cuts) > 100


@pytest.mark.fault(7)
@pytest.mark.parametrize("record", [record_unit, record_door])
def test_store_has_the_old_schema_or_the_new_after_a_power_cut_during_migration(
    record: Callable[[int], Load],
) -> None:
    plan = plan_of(record, 0)
    cuts = [
        run_machine(plan, [cut_at, cut_at], seed=cut_at, checkpoint_pages=10, from_empty=True)
        for cut_at in range(1, plan.migration_change_count + 1)
    ]

    assert min(cuts) >= 1


@pytest.mark.parametrize(
    ("planted", "symptom"),
    [
        (Rules(synchronous="NORMAL"), "promised were"),
        (Rules(commits_in_the_middle=True), "half a transaction"),
    ],
)
def test_power_cuts_find_a_planted_fault(planted: Rules, symptom: str) -> None:
    with pytest.raises(BrokenPromiseError, match=symptom):
        for seed in range(SEED_COUNT):
            run_seed(seed, planted)
