"""What is held of an object under way, and what becomes of it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from pydicom import dcmread

from appliance.domain.limits import LimitSet
from appliance.gatekeeper import quarantine
from appliance.gatekeeper.quarantine import Label, NoRoomError
from appliance.gatekeeper.spool import Spool
from tests.support.rawdicom import CR_STORAGE, EXPLICIT, image

LIMITS = LimitSet(spool_memory_bytes_max=1000, free_bytes_floor=0)
LABEL = Label(
    code="object-truncated",
    detail="3 bytes",
    calling_ae_title="XRAY1",
    peer="10.0.0.7",
    sop_class_uid=CR_STORAGE,
    sop_instance_uid="1.2.3",
    transfer_syntax_uid=EXPLICIT,
    at="2026-01-01T00:00:00.000Z",
)


async def _fill(spool: Spool, data: bytes, step: int = 300) -> None:
    for start in range(0, len(data), step):
        spool.append(memoryview(data)[start : start + step])
        if spool.is_due:
            await spool.write_out()


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [10, 999, 1000, 1001, 50_000])
async def test_object_is_set_aside_as_it_came(tmp_path: Path, size: int) -> None:
    spool = Spool(tmp_path, LIMITS, 300)
    data = image("1.2.3", size * 2)[:-1]
    await _fill(spool, data)

    name = await spool.set_aside(LABEL)
    spool.close()

    assert (tmp_path / name).read_bytes().endswith(b"DICM" + (tmp_path / name).read_bytes()[132:])
    assert (tmp_path / name).read_bytes()[-len(data) :] == data
    assert dcmread(tmp_path / name, stop_before_pixels=True).file_meta.SourceApplicationEntityTitle == "XRAY1"
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".dcm", ".json"]


@pytest.mark.asyncio
async def test_object_before_leaves_nothing_in_the_next(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMITS, 300)
    await _fill(spool, b"\x01" * 5_000)
    spool.clear()
    await _fill(spool, b"\x02" * 2_500)

    name = await spool.set_aside(LABEL)
    spool.close()

    assert (tmp_path / name).read_bytes().endswith(b"\x02" * 2_500)
    assert b"\x01" * 10 not in (tmp_path / name).read_bytes()[132:]


@pytest.mark.asyncio
async def test_sound_objects_leave_no_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMITS, 300)
    await _fill(spool, bytes(50_000))
    spool.close()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_object_that_cannot_be_spooled_goes_on_without_a_copy(tmp_path: Path) -> None:
    no_folder = tmp_path / "file"
    no_folder.write_text("in the way")
    spool = Spool(no_folder, LIMITS, 300)
    await _fill(spool, bytes(5_000))

    with pytest.raises(OSError, match="could not be held"):
        await spool.set_aside(LABEL)


def test_same_bytes_are_kept_once(tmp_path: Path) -> None:
    first = quarantine.keep(tmp_path, LABEL, io.BytesIO(b"data"), LIMITS)
    again = quarantine.keep(tmp_path, LABEL, io.BytesIO(b"data"), LIMITS)
    other = quarantine.keep(tmp_path, LABEL, io.BytesIO(b"other"), LIMITS)

    assert first == again != other
    assert len(list(tmp_path.glob("*.dcm"))) == 2
    facts = json.loads((tmp_path / first).with_suffix(".json").read_text())
    assert facts["size_bytes"] == (tmp_path / first).stat().st_size


@pytest.mark.parametrize(
    "limits",
    [LimitSet(free_bytes_floor=1 << 60), LimitSet(free_bytes_floor=0, quarantine_file_count_max=1)],
    ids=["free space", "count"],
)
def test_nothing_is_kept_beyond_a_bound(tmp_path: Path, limits: LimitSet) -> None:
    quarantine.keep(tmp_path, LABEL, io.BytesIO(b"first"), LIMITS)

    with pytest.raises(NoRoomError):
        quarantine.keep(tmp_path, LABEL, io.BytesIO(b"second"), limits)
    assert quarantine.keep(tmp_path, LABEL, io.BytesIO(b"first"), limits), "what is kept already needs no room"

    assert len(list(tmp_path.iterdir())) == 2


def test_half_written_files_of_a_power_cut_are_removed_at_start(tmp_path: Path) -> None:
    (tmp_path / "gate-1.dcm.part").write_bytes(b"half")
    (tmp_path / "other.part").write_bytes(b"of somebody else")
    kept = quarantine.keep(tmp_path, LABEL, io.BytesIO(b"data"), LIMITS)

    quarantine.remove_partial(tmp_path)

    assert {p.name for p in tmp_path.iterdir()} == {kept, kept.replace(".dcm", ".json"), "other.part"}
