"""A short run of the power-cut test; ``make power-cuts`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.power_cuts import run_power_cuts
from tests.support.orthancs import orthanc_commands
from tests.support.power import missing_for_power_cuts

CUTS = 4


@pytest.mark.root
# pynetdicom drops a refused connection's socket without closing it
@pytest.mark.orthanc
@pytest.mark.fault(1)
@pytest.mark.fault(2)
@pytest.mark.fault(3)
@pytest.mark.fault(4)
@pytest.mark.fault(5)
@pytest.mark.fault(6)
@pytest.mark.timeout(600)
@pytest.mark.skipif(bool(missing_for_power_cuts()), reason=missing_for_power_cuts())
@pytest.mark.parametrize("orthanc", orthanc_commands())
def test_power_cut_during_and_after_transfers_loses_nothing_acknowledged(orthanc: str, tmp_path: Path) -> None:
    outcome = run_power_cuts(tmp_path, orthanc, CUTS, seed=7)
    assert outcome.faults == []
    assert outcome.cut_count == CUTS
    assert outcome.told_count > 0
