"""dcmtk's archive as a second opinion: a PACS without commitment and without DICOMweb, proved by C-MOVE."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.config import DimseDestination
from appliance.domain.limits import LimitSet
from sync.adapters.base import SendItem
from sync.adapters.build import build
from tests.support.files import sample_files
from tests.support.pacs import OUR_AE_TITLE, DcmtkArchive, Run, codes, item_of
from tests.support.ports import free_ports

pytestmark = pytest.mark.skipif(shutil.which("dcmqrscp") is None, reason="dcmtk's dcmqrscp is not installed")


SAMPLES = ("ct", "jpeg2k", "rt_plan", "waveform", "us_still_US1", "us_jpeg_lossless")
"""One of each sort; it takes no compressed syntax by itself, so those are decoded and compared as pixels."""


def wait_until_up(run: Run) -> None:
    """Its port opens a moment after it started."""
    for _ in range(200):
        if run.destination.probe() is None:
            return
        run.cancel.wait(0.05)
    raise AssertionError("dcmqrscp did not come up")


def test_real_files_are_sent_to_dcmtk_and_proved_by_c_move(tmp_path: Path) -> None:
    port, listener_port = free_ports(2)
    table = DimseDestination(
        name="centre",
        host="127.0.0.1",
        port=port,
        called_ae_title="CENTRE",
        calling_ae_title=OUR_AE_TITLE,
        proof="move",
        commitment_port=listener_port,
    )
    by_uid: dict[str, SendItem] = {}
    for number, sample in enumerate((s for s in sample_files() if s.name in SAMPLES), 1):
        item = item_of(sample.path, number)
        by_uid.setdefault(item.sop_instance_uid, item)
    items = list(by_uid.values())
    with DcmtkArchive(tmp_path, port, listener_port):
        destination = build(table, LimitSet(), SystemClock(), tmp_path / "work")
        run = Run(destination)
        wait_until_up(run)
        outcomes, failure = run.send(items)
        assert failure == ""
        assert set(outcomes.values()) == {""}
        checked, failure = run.verify(items)
        destination.close()
    assert (codes(checked), failure) == ({item.item_id: "" for item in items}, "")
