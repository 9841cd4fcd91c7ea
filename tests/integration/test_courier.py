"""A study half sent by link and half by stick arrives once, whole: real unit, gateway, PACS, and commands."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE

from tests.courier.link import Link
from tests.support.orthancs import orthanc_commands
from tests.support.world import Centre, Unit, make_unit, running_centre, small_picture, wait_for

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not orthanc_commands(), reason="no Orthanc on this machine"),
]
ORTHANC = (orthanc_commands() or ["Orthanc"])[0]
IMAGE_COUNT = 4
IMAGE_BYTES = 200_000
HALF_BYTES = 350_000
"""The link goes in the middle of the second image."""


@dataclass
class World:
    """A unit, its centre, and the link between them."""

    unit: Unit
    centre: Centre
    link: Link
    stick: Path

    def at_unit(self, *words: str) -> dict[str, Any]:
        """A command at the unit, that must be fine."""
        return _run(*words, "--config", str(self.unit.toml), "--json")

    def at_centre(self, *words: str) -> dict[str, Any]:
        return _run("central", *words, "--config", str(self.centre.toml), "--json")

    def stored(self) -> dict[str, str]:
        """SHA-256 of the file that the unit stored, by SOP Instance UID."""
        return dict(self.unit.query("SELECT sop_instance_uid, sha256 FROM instance"))  # type: ignore[arg-type]

    def held(self) -> dict[str, str]:
        """The same of the files in the PACS; one that is there twice fails."""
        counts = self.centre.holdings()
        assert set(counts.values()) <= {1}
        return {uid: hashlib.sha256(self.centre.file(uid)).hexdigest() for uid in counts}


def _run(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli.main", *words], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout} {done.stderr}"
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with made_world(tmp_path) as world:
        yield world


@contextmanager
def made_world(folder: Path) -> Iterator[World]:
    """Everything runs, and the first half of a study has gone over the link, which is gone now."""
    stick = folder / "stick"
    stick.mkdir()
    with running_centre(folder / "centre", ORTHANC) as centre, Link(centre.gateway_port, HALF_BYTES) as link:
        unit = make_unit(
            folder / "unit",
            ORTHANC,
            f'[[destination]]\nkind = "gateway"\nname = "centre"\nurl = "http://127.0.0.1:{link.port}"\n',
            extra="[limits]\nbackoff_s_max = 1.0\nfree_bytes_warn = 0\n",
        )
        world = World(unit, centre, link, stick)
        code = world.at_centre("enrol", "test-unit")["code"]
        world.at_unit("unit", "enrol", "--code", code)
        unit.start()
        try:
            send_study(unit.config.dicom.port)
            wait_for(lambda: len(world.stored()) == IMAGE_COUNT, "the unit to know the study")
            wait_for(lambda: link.is_gone, "the link to go in the middle of the study")
            yield world
        finally:
            unit.stop()


def send_study(port: int) -> None:
    """Four pictures of noise in one study: nothing makes them smaller."""
    entity = AE(ae_title="XRAY")
    entity.add_requested_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="QAFILA")
    assert association.is_established
    for number in range(IMAGE_COUNT):
        picture = small_picture(IMAGE_BYTES, number)
        noise = np.random.default_rng(number).integers(0, 256, len(picture.PixelData), dtype=np.uint8)
        picture.PixelData = noise.tobytes()
        assert association.send_c_store(picture).Status == 0
    association.release()


def carry(world: World) -> None:
    """Export, and import at the centre until the PACS has all of it."""
    told = world.at_unit("courier", "export", str(world.stick), "--any-folder")
    assert (told["ending"], told["can_be_removed"], told["left_out_count"]) == ("done", True, 0)
    assert told["carried_count"] >= IMAGE_COUNT - 2
    (report,) = world.at_centre("courier", "import", str(world.stick), "--wait", "120")["units"]
    assert (report["problems"], report["replied"]) == ([], True)
    assert set(report["states"]) == {"verified"}
    assert world.held() == world.stored()


def test_receipts_by_link_end_the_study_and_nothing_is_sent_twice(world: World) -> None:
    carry(world)
    assert len(world.unit.confirmed_uids()) < IMAGE_COUNT
    before = world.link.up_bytes
    world.link.allowance_bytes = None
    wait_for(lambda: world.unit.confirmed_uids() == set(world.stored()), "receipts over the link")
    assert world.link.up_bytes - before < IMAGE_BYTES // 4, "what the stick brought was sent again"
    assert world.held() == world.stored()


def test_receipts_by_stick_end_the_study_without_any_link(world: World) -> None:
    carry(world)
    before = world.link.up_bytes
    told = world.at_unit("courier", "import", str(world.stick), "--wait")
    assert told["brought"]["new_count"] >= IMAGE_COUNT - 2
    wait_for(lambda: world.unit.confirmed_uids() == set(world.stored()), "receipts from the stick")
    assert world.link.up_bytes == before
    (stick,) = world.at_unit("courier", "status")["sticks"]
    assert stick["waiting_count"] == 0
    world.link.allowance_bytes = None
    study = world.unit.query("SELECT study_instance_uid FROM study")[0][0]
    world.at_unit("retry", str(study), "--wait")
    assert world.held() == world.stored()
