"""A few hundred seeds in every test run, every seed that ever failed, and the planted bugs: tests of the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from appliance.domain.limits import LimitSet
from tests.simulation.bugs import BUGS, MASKED, PAIRS, Bug, Pair
from tests.simulation.checkers import Violation
from tests.simulation.script import Happening, Script, draw
from tests.simulation.shrink import broken_rule, shorten
from tests.simulation.world import World, simulate

REGRESSIONS = (19, 89, 111, 1292, 113245, 118846, 2000003, 2001855, 755, 681, 1138, 1170, 3007256, 5256, 16865)
"""Seeds that once failed. They are kept for ever; a change of the script's dice changes what they mean."""
SEED_COUNT = 300
BUG_SEED_COUNT = 150


@pytest.mark.parametrize("first", range(0, SEED_COUNT, 50))
@pytest.mark.fault(72)
def test_all_is_delivered_after_random_faults(first: int) -> None:
    for seed in range(first, first + 50):
        violation = broken_rule(draw(seed))
        assert violation is None, f"seed {seed}: {violation}; run: python -m tests.simulation --start {seed} --seeds 1"


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_seed_that_once_failed_stays_good(seed: int) -> None:
    assert broken_rule(draw(seed)) is None


def test_same_seed_lives_the_same_life_twice() -> None:
    first, second = simulate(draw(7)), simulate(draw(7))
    assert first.store.journal == second.store.journal
    assert (first.now, first.step_count) == (second.now, second.step_count)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bug_is_caught(bug: Bug) -> None:
    with bug.plant():
        violation = _first_violation(bug.seed)
    assert violation is not None, "the simulation is blind to this bug"
    assert violation.rule in bug.rules, violation


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_two_layers_missing_at_once_are_caught(pair: Pair) -> None:
    with pair.plant():
        violation = _first_violation()
    assert violation is not None, "the simulation is blind without both layers"
    assert violation.rule in pair.rules, violation


@pytest.mark.parametrize("layer", MASKED, ids=lambda layer: layer.__name__)
def test_one_missing_layer_is_covered_by_the_other(layer: Callable[[], Any]) -> None:
    with layer():
        assert all(broken_rule(draw(seed)) is None for seed in range(40))


def _first_violation(first: int = 0) -> Violation | None:
    seeds = range(first, first + BUG_SEED_COUNT)
    return next((v for seed in seeds if (v := broken_rule(draw(seed))) is not None), None)


def test_shortened_script_breaks_the_same_rule_with_fewer_happenings() -> None:
    bug = next(bug for bug in BUGS if bug.name == "bytes_are_not_checked")
    with bug.plant():
        seed = next(seed for seed in range(BUG_SEED_COUNT) if broken_rule(draw(seed)) is not None)
        shortest = shorten(draw(seed), "wrong-bytes")
        violation = broken_rule(shortest)
    assert violation is not None
    assert violation.rule == "wrong-bytes"
    assert "flip" in {happening.kind for happening in shortest.happenings}
    assert len(shortest.happenings) < len(draw(seed).happenings)


def run(*happenings: Happening, seed: int = 1, destinations: tuple[str, ...] = ("north",)) -> World:
    """A directed life: only these things happen."""
    world = directed(*happenings, seed=seed, destinations=destinations)
    world.run()
    return world


def directed(*happenings: Happening, seed: int = 1, destinations: tuple[str, ...] = ("north",)) -> World:
    """A world with a link of 1 MB/s in which only these things happen."""
    script = Script(seed, destinations, tuple(sorted(happenings, key=lambda happening: happening.at_s)))
    return World(script, rate_bytes_per_s=1e6)


ARRIVAL = Happening(0.0, "arrive", name="routine", number=12)


@pytest.mark.fault(8)
@pytest.mark.parametrize("cut_at_s", [0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 30.0])
def test_items_are_sent_again_after_a_cut_during_upload(cut_at_s: float) -> None:
    world = run(ARRIVAL, Happening(cut_at_s, "cut", name="now"))
    assert {row.item.attempt_count for row in world.store.rows.values()} <= {0, 1}


@pytest.mark.fault(9)
@pytest.mark.parametrize("phase", ["before-commit", "after-commit"])
@pytest.mark.parametrize("cut_at_s", [0.3, 0.7, 1.5, 3.0, 6.0])
def test_item_is_offered_again_after_a_cut_between_answer_and_row(phase: str, cut_at_s: float) -> None:
    world = run(ARRIVAL, Happening(cut_at_s, "cut", name=phase))
    assert len(world.centres["north"].held) == 12


@pytest.mark.fault(19)
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_io_error_inside_recovery_is_retried_until_it_works(share: float) -> None:
    trouble = Happening(1.0, "io-error", number=share, until_s=300.0)
    run(ARRIVAL, trouble, Happening(1.5, "cut", name="now"), Happening(20.0, "cut", name="now"))


@pytest.mark.fault(21)
def test_flipped_bit_sets_one_item_aside_and_the_others_go_on() -> None:
    world = run(ARRIVAL, Happening(0.0, "flip", number=0.5), Happening(0.0, "down", "north", until_s=5.0))
    damaged = [row for row in world.store.rows.values() if row.damaged]
    assert len(damaged) == 1
    assert damaged[0].failure is not None
    assert damaged[0].failure.code == "digest-mismatch"
    assert len(world.centres["north"].held) == 11


@pytest.mark.fault(32)
def test_exact_duplicate_leaves_one_copy_and_one_receipt() -> None:
    world = run(ARRIVAL, Happening(0.0, "mood", "north", "twice", 1.0, 60.0))
    confirmations = [line for line in world.store.journal if line.event == "verified"]
    assert len(confirmations) == len({line.item_id for line in confirmations}) == 12


@pytest.mark.fault(41)
def test_flapping_link_makes_progress_in_every_window() -> None:
    flap = Happening(0.0, "flap", "north", number=60.0, until_s=5000.0)
    world = directed(Happening(0.0, "arrive", name="routine", number=20), flap)
    assert verified_count_at(5000.0, world) == 20, "not all of it went through while the link still flapped"


@pytest.mark.fault(39)
@pytest.mark.fault(43)
@pytest.mark.fault(44)
@pytest.mark.parametrize("mood", ["portal", "busy", "error", "silent", "lost-reply", "full", "gone"])
def test_unwilling_destination_is_not_hammered_and_gets_everything_later(mood: str) -> None:
    run(ARRIVAL, Happening(0.0, "mood", "north", mood, 1.0, 3000.0))


@pytest.mark.fault(45)
@pytest.mark.parametrize("mood", ["lies", "false-proof", "other-bytes"])
def test_lying_destination_never_makes_an_item_confirmed(mood: str) -> None:
    world = directed(ARRIVAL, Happening(0.0, "mood", "north", mood, 1.0, 5000.0))
    assert verified_count_at(4000.0, world) == 0


def verified_count_at(moment_s: float, world: World) -> int:
    """Live through all of it; how many items were confirmed by then."""
    seen: list[int] = []

    def look() -> None:
        seen.append(sum(line.event == "verified" for line in world.store.journal))

    world.later(moment_s, look, survives_cut=True)
    world.run()
    (count,) = seen
    return count


@pytest.mark.fault(48)
def test_item_stays_sent_and_says_why_while_the_commitment_never_comes() -> None:
    world = directed(ARRIVAL, Happening(0.0, "mood", "north", "no-proof", 1.0, 5000.0))
    seen: list[tuple[str, str]] = []

    def look() -> None:
        seen.extend((row.item.state, row.failure.code if row.failure else "") for row in world.store.rows.values())

    world.later(3000.0, look, survives_cut=True)
    world.run()
    assert seen == [("sent", "commitment-pending")] * 12


@pytest.mark.fault(50)
def test_bytes_changed_on_the_way_set_the_item_aside_until_a_person_acts() -> None:
    world = run(ARRIVAL, Happening(0.0, "mood", "north", "other-bytes", 1.0, 5000.0))
    assert sum(line.event == "conflict" for line in world.store.journal) == 12
    assert sum(line.event == "retry" for line in world.store.journal) == 12


@pytest.mark.fault(53)
def test_restored_centre_gets_again_what_the_check_before_eviction_finds_absent() -> None:
    evictions = [Happening(2000.0 + 100 * step, "evict") for step in range(20)]
    restore = Happening(100.0, "centre-restore", "north", number=1.0)
    world = run(ARRIVAL, restore, *evictions)
    assert sum(line.event == "absent" for line in world.store.journal) == 12
    assert world.evicted, "once proved anew they may go"


@pytest.mark.fault(54)
@pytest.mark.parametrize("poison", ["busy", "break-link", "end-attempt"])
def test_one_bad_instance_never_blocks_the_rest(poison: str) -> None:
    world = directed(ARRIVAL, Happening(0.0, "poison", "north", poison, 0.0))
    assert verified_count_at(4000.0, world) == 11


@pytest.mark.fault(54)
@pytest.mark.parametrize("poison", ["busy", "error", "lost"])
def test_many_failing_old_instances_never_keep_new_ones_waiting(poison: str) -> None:
    bad, good = (
        Happening(0.0, "arrive", name="routine", number=300),
        Happening(10.0, "arrive", name="routine", number=20),
    )
    world = directed(bad, good)

    def spoil() -> None:
        world.centres["north"].poisons.update(dict.fromkeys(world.blobs, poison))

    world.later(0.001, spoil, survives_cut=True)
    assert verified_count_at(5000.0, world) == 20


@pytest.mark.fault(71)
def test_thirty_days_of_backlog_are_delivered_with_bounded_memory() -> None:
    arrivals = [
        Happening(float(step), "arrive", name="stat" if step == 70 else "routine", number=20) for step in range(100)
    ]
    script = Script(3, ("north",), (Happening(0.0, "down", "north", until_s=5000.0), *arrivals))
    world = World(script, LimitSet(), rate_bytes_per_s=1e7)
    world.run()
    first = next(line.item_id for line in world.store.journal if line.event == "verified")
    assert world.store.rows[first].item.study_instance_uid == "1.2.71", "the STAT study went first"
    assert len(world.centres["north"].held) == 2000
