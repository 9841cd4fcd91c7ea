"""Files of corrections are read again by the scrub: nothing else would notice a bit that flipped in one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.corrections.problems import ActionRefused
from appliance.orthanc.scrub_revisions import KIND, read_revisions
from appliance.store.findings import open_subjects
from tests.support.correcting import Desk, desk

RATE_BYTES_PER_S = 1e9


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


def scrub(at: Desk) -> tuple[str, ...]:
    """One whole pass; what is open after it."""
    for _ in read_revisions(at.config, at.db, RATE_BYTES_PER_S):
        pass
    return open_subjects(at.db, KIND)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.fault(21)
def test_bit_flip_in_a_correction_is_found_and_the_others_are_fine(at: Desk) -> None:
    pictures = [at.picture(study=f"1.2.3.{number}", PatientID="X9") for number in range(3)]
    for number in range(3):
        at.actions.correct(f"1.2.3.{number}", {"PatientID": "X8"}, "typed wrongly", "amina")
    assert scrub(at) == ()
    flip_a_bit(at.path(pictures[1]))
    at.path(pictures[2]).unlink()
    assert scrub(at) == (pictures[1], pictures[2])


@pytest.mark.fault(21)
@pytest.mark.parametrize("how", ["mended", "corrected again", "undone"])
def test_alarm_ends_with_its_cause(at: Desk, how: str) -> None:
    uid = at.picture(study="1.2.3.1", PatientID="X9")
    done = at.actions.correct("1.2.3.1", {"PatientID": "X8"}, "typed wrongly", "amina")
    path = at.path(uid)
    flip_a_bit(path)
    assert scrub(at) == (uid,)
    if how == "mended":
        flip_a_bit(path)
    elif how == "undone":
        at.actions.undo(done.action_id, "amina")
    else:
        with pytest.raises(ActionRefused, match="is damaged"):
            at.actions.correct("1.2.3.1", {"PatientID": "X7"}, "typed wrongly again", "amina")
        flip_a_bit(path)
        at.actions.correct("1.2.3.1", {"PatientID": "X7"}, "typed wrongly again", "amina")
        flip_a_bit(path)
    assert scrub(at) == ()
