"""A short run of the image's power cuts; ``make image-power-cuts`` is the long one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.image.machine import TOP, missing
from tests.image.uplinked import TRIAL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.orthanc,
    pytest.mark.skipif(
        bool(missing()) or not (TRIAL / "release-2").exists(),
        reason=missing() or "make image-releases builds what is needed",
    ),
    pytest.mark.timeout(14_400),
]


@pytest.mark.fault(7)
@pytest.mark.fault(11)
@pytest.mark.parametrize("seed", [1])
def test_image_comes_up_with_everything_after_each_cut(seed: int) -> None:
    run = [sys.executable, "-m", "tests.image.power_cuts", "--cuts", "8", "--seed", str(seed)]
    assert subprocess.run(run, check=False, cwd=TOP).returncode == 0
