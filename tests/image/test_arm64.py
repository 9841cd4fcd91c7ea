"""The image for arm64 in QEMU's machine ``virt``: it comes up to a unit that answers and receives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.enrolled import asked, enrolled, send
from tests.image.machine import ARM64, images, missing

PROFILE = "vm-arm64"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(bool(missing(PROFILE)), reason=missing(PROFILE) or "-"),
    pytest.mark.timeout(7200),
]


def test_it_boots_to_a_unit_that_answers_and_keeps_a_study(tmp_path: Path) -> None:
    with enrolled(images(PROFILE)[-1], tmp_path / "guest", ARM64, has_screen=False) as machine:
        assert machine.run("uname -m") == "aarch64"
        assert machine.run("systemctl --failed --no-legend --plain") == ""
        assert "erofs" in machine.run("findmnt -no FSTYPE,OPTIONS /")
        assert send(machine, tmp_path / "chest.dcm") == 0
        machine.wait_for(lambda: len(asked(machine, "studies")["studies"]) == 1, 300, "the study is in the list")
