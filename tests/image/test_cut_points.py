"""A short run of an update's cuts; ``make image-cut-points`` is the long one."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from tests.image.cut_points import BESIDE_ENTRIES, FINISH_SHARE, chosen
from tests.image.machine import TOP, missing
from tests.image.uplinked import TRIAL


def test_points_lie_in_the_record_and_half_of_them_beside_a_flush() -> None:
    points = chosen(random.Random(1), "installation", [10, 500, 900, 2000], 100, 1000, 200)
    assert len(points) == 200
    assert all(100 <= point.entry_count <= 1000 for point in points)
    beside = [point for point in points if min(abs(point.entry_count - flush) for flush in (500, 900)) < BESIDE_ENTRIES]
    assert 100 <= len(beside) < 140
    assert 0 < sum(point.goes_on for point in points) < 200 * 2 * FINISH_SHARE
    assert not any(point.goes_on for point in chosen(random.Random(1), "migration", [500], 0, 1000, 50))


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.fault(7)
@pytest.mark.fault(11)
@pytest.mark.skipif(
    bool(missing()) or not (TRIAL / "release-2").exists(),
    reason=missing() or "make image-releases builds what is needed",
)
@pytest.mark.timeout(14_400)
def test_update_that_was_cut_ends_in_a_working_unit() -> None:
    run = [sys.executable, "-m", "tests.image.cut_points", "--points", "4"]
    assert subprocess.run(run, check=False, cwd=TOP).returncode == 0
