"""A machine that does not find its disk in time starts again by itself, for nobody is there to answer a prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.enrolled import BOOT_S_MAX, CREDENTIALS
from tests.image.machine import Machine, images, missing

FIRMWARE_STARTS = "BdsDxe: starting"


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.skipif(bool(missing()), reason=missing() or "-")
@pytest.mark.timeout(3600)
def test_machine_without_its_disk_starts_again(tmp_path: Path) -> None:
    machine = Machine.fresh(images()[-1], tmp_path, CREDENTIALS)
    machine.kernel = "systemd.default_device_timeout_sec=1"
    with machine.surroundings():
        machine.start()
        machine.wait_for(lambda: machine.serial().count(FIRMWARE_STARTS) == 2, BOOT_S_MAX, "the second start")
        assert "emergency.service" in machine.serial()
        assert "Press Enter" not in machine.serial()
