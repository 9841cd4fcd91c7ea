"""Every word about a stick: what happened, what is safe, what to do; and never that it can go before it can."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.domain.failure import Failure, FailureKind
from sync.courier.errors import StickError, StickFault
from sync.courier.export import Ending, Outcome, Phase, Progress
from sync.courier.sentences import REMOVE, UNTOUCHED, ending, progress, trouble
from tests.courier.making import made_items


@pytest.mark.parametrize("fault", StickFault)
def test_every_trouble_says_what_is_safe_and_what_to_do(fault: StickFault) -> None:
    told = trouble(StickError(fault, "/media/stick: detail"))
    assert UNTOUCHED in told
    assert told.count(". ") >= 2
    assert REMOVE not in told
    assert "detail" not in told


@pytest.mark.parametrize("how", Ending)
def test_only_what_was_read_back_may_be_removed(tmp_path: Path, how: Ending) -> None:
    items = made_items(tmp_path, study_count=2, image_count=1)
    told = ending(Outcome(how, "ab" * 8, carried=list(items[:1]), left_out=list(items[1:])))
    assert told.startswith(f"{REMOVE}.") == (how in (Ending.DONE, Ending.FULL))
    if how is not Ending.DONE and how is not Ending.FULL:
        assert UNTOUCHED in told


def test_full_stick_says_what_is_on_it_and_how_the_rest_goes(tmp_path: Path) -> None:
    items = made_items(tmp_path, study_count=2, image_count=1)
    told = ending(Outcome(Ending.FULL, carried=list(items[:1]), left_out=list(items[1:])))
    assert "1 image of 1 study is on it, and 1 image of 1 study found no room" in told
    assert "--skip-carried" in told


def test_images_that_could_not_be_prepared_are_told_once_a_reason(tmp_path: Path) -> None:
    items = made_items(tmp_path, study_count=1, image_count=2)
    why = Failure(FailureKind.PERMANENT, "damaged-here", "The stored image is damaged.")
    told = ending(Outcome(Ending.DONE, failed=[(item, why) for item in items]))
    assert "2 images are not on it: The stored image is damaged." in told


def test_progress_is_a_share_a_size_and_a_range() -> None:
    step = Progress(Phase.COPYING, 25_000_000, 100_000_000, 3, 12)
    assert progress(step, 60.0) == "Copying: 3 of 12 images, 25 % (25.0 MB of 100 MB), 2-4 min left"
    assert progress(Progress(Phase.CHECKING, 0, 0), 1.0) == "Checking what is on the stick: 100 % (0 B of 0 B)"
    assert "left" not in progress(Progress(Phase.COPYING, 1, 100, 0, 12), 60.0)
