"""The kernel kills one process for its memory while a big study comes in: that one restarts, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.memory import killed_count, memory_bound, missing_for_memory_bounds
from tests.support.orthancs import orthanc_commands
from tests.support.promises import centre_faults, kept_faults, settled
from tests.support.world import Modality, dicomweb_destination, make_unit, running_centre, wait_for

MIB = 1024 * 1024


@pytest.mark.orthanc
@pytest.mark.root
@pytest.mark.fault(14)
# pynetdicom drops a refused connection's socket without closing it
@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(missing_for_memory_bounds()), reason=missing_for_memory_bounds())
@pytest.mark.parametrize("orthanc", orthanc_commands(), ids=lambda command: Path(command).name)
def test_out_of_memory_kill_during_a_big_study_restarts_only_that_process(orthanc: str, tmp_path: Path) -> None:
    with running_centre(tmp_path / "centre", orthanc) as centre:
        unit = make_unit(tmp_path / "unit", orthanc, dicomweb_destination(centre.dicomweb_url))
        unit.start()
        try:
            modality = Modality(unit.config.dicom.port, size_bytes=15 * MIB)
            assert len(modality.send(1)) == 1
            before = unit.child_pids()
            with memory_bound(before["orthanc"], 16 * MIB) as group:
                modality.send(3)
                wait_for(lambda: killed_count(group) > 0, "the kernel to kill")
            wait_for(lambda: unit.child_pids().get("orthanc", before["orthanc"]) != before["orthanc"], "a new Orthanc")
            told_before = len(modality.told)
            wait_for(lambda: modality.send(1) or len(modality.told) > told_before, "reception")
            after = unit.child_pids()
            assert {name for name in before if before[name] != after[name]} == {"orthanc"}
            wait_for(lambda: settled(unit, modality.told), "every promised instance to be confirmed")
            assert kept_faults(unit, modality.told) + centre_faults(centre, modality.told) == []
        finally:
            unit.stop()
