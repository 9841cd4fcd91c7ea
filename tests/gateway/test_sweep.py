"""What need not be kept goes, and nothing else: parts of files that are proved, garbage, and what a crash left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.gateway.rig import Gateway, Pacs, Parted, Unit, picture_in_parts, running_gateway
from tests.support.world import wait_for

LIMITS = {"sweep_s": 0.1}


def stored_bytes(gateway: Gateway) -> int:
    """Of all objects."""
    return sum(path.stat().st_size for path in (gateway.folder / "data" / "parts").rglob("*") if path.is_file())


def test_parts_go_when_their_files_were_verified_for_long_enough(tmp_path: Path) -> None:
    pacs = Pacs()
    extra = "parts_keep_days = 0.00001"  # about a second
    with (
        pacs.peer,
        running_gateway(tmp_path / "g", pacs.peer.url, extra=extra, limits=LIMITS) as started,
        Unit(started.url) as unit,
    ):
        unit.join(started)
        done, half = (picture_in_parts(tmp_path / str(i), 50_000, 600 + i) for i in range(2))
        unit.send(done)
        unit.wait_for_entries(1)
        unit.announce(half)
        unit.send_part(half.header)
        assert unit.append(half.instance.pixels, half.pixels[:20_000]).status_code == 204
        kept = len(half.header) + 20_000 + len(done.preview)
        wait_for(lambda: stored_bytes(started) == kept, "the parts to go")
        answer = unit.announce(done)
        assert answer.parts[done.instance.pixels].not_needed
        assert answer.instances[done.uid].receipt is not None
        assert unit.check(done).items[done.uid].state == "verified", "no part is needed to look again"
        del pacs.held[done.uid]
        assert unit.check(done).items[done.uid].state == "absent"
        again = unit.announce(done)
        assert not again.parts[done.instance.pixels].not_needed
        unit.send(done)
        wait_for(lambda: done.uid in pacs.held, "it to be there again")
        unit.send(half)
        assert {entry.sop_instance_uid for entry in unit.wait_for_entries(3)} == {done.uid, half.uid}


@pytest.mark.fault(54)
def test_short_disk_costs_kept_parts_first_and_promises_never(tmp_path: Path) -> None:
    pacs = Pacs()
    with pacs.peer, running_gateway(tmp_path / "g", pacs.peer.url, limits=LIMITS) as started, Unit(started.url) as unit:
        unit.join(started)
        done, half = (picture_in_parts(tmp_path / str(i), 50_000, 610 + i) for i in range(2))
        unit.send(done)
        unit.wait_for_entries(1)
        unit.announce(half)
        assert unit.append(half.instance.pixels, half.pixels[:20_000]).status_code == 204
        started.stop()
        toml = started.toml.read_text().replace("free_bytes_floor = 0", f"free_bytes_floor = {1 << 60}")
        started.toml.write_text(toml)
        started.start()
        wait_for(lambda: stored_bytes(started) == 20_000 + len(done.preview), "the parts of the proved file to go")
        assert unit.offset(half.instance.pixels) == 20_000
        assert unit.append(half.instance.pixels, half.pixels[20_000:], 20_000).status_code == 507


def test_objects_that_a_crash_left_without_a_row_go_after_a_day(tmp_path: Path) -> None:
    pacs = Pacs()
    with pacs.peer, running_gateway(tmp_path / "g", pacs.peer.url, limits=LIMITS) as started, Unit(started.url) as unit:
        unit.join(started)
        picture: Parted = picture_in_parts(tmp_path / "p", 50_000, 620)
        unit.announce(picture)
        assert unit.append(picture.instance.pixels, picture.pixels[:20_000]).status_code == 204
        started.kill()
        objects = [path for path in (tmp_path / "g/data/parts").rglob("*") if path.is_file()]
        old, young = (objects[0].with_name(name) for name in ("77-old", "77-young"))
        for path in (old, young, *objects):
            if not path.exists():
                path.write_bytes(b"left behind")
            if path is not young:
                os.utime(path, (1_000_000_000, 1_000_000_000))
        started.start()
        wait_for(lambda: not old.exists(), "the orphan to go")
        assert young.exists()
        unit.send(picture)
        assert unit.wait_for_entries(1)[0].kind == "receipt"


def test_chunks_of_a_part_that_began_again_are_deleted(tmp_path: Path) -> None:
    pacs = Pacs()
    with pacs.peer, running_gateway(tmp_path / "g", pacs.peer.url, limits=LIMITS) as started, Unit(started.url) as unit:
        unit.join(started)
        picture = picture_in_parts(tmp_path / "p", 50_000, 630)
        unit.announce(picture)
        wrong = bytes(len(picture.pixels))
        assert unit.append(picture.instance.pixels, wrong, complete=True).status_code == 460
        wait_for(lambda: stored_bytes(started) == 0, "the garbage to go")


def test_part_that_rots_in_the_store_is_asked_for_again(tmp_path: Path) -> None:
    pacs = Pacs(away=True)
    with pacs.peer, running_gateway(tmp_path / "g", pacs.peer.url) as started, Unit(started.url) as unit:
        unit.join(started)
        picture = picture_in_parts(tmp_path / "p", 50_000, 640)
        unit.announce(picture)
        unit.send_part(picture.pixels)
        for path in (tmp_path / "g/data/parts" / picture.instance.pixels[:2]).rglob("*"):
            if path.is_file():
                content = bytearray(path.read_bytes())
                content[100] ^= 1
                path.write_bytes(content)
        unit.send_part(picture.header)
        wait_for(lambda: unit.offset(picture.instance.pixels) == 0, "the damage to be found")
        assert not unit.announce(picture).instances[picture.uid].pixels_known
        pacs.away = False
        unit.send(picture)
        assert unit.wait_for_entries(1)[0].kind == "receipt"
        assert pacs.held[picture.uid] == picture.file
