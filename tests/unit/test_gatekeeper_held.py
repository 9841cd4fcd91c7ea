"""What is held of an object under way, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest
from pydicom import dcmread

from appliance.domain.limits import LimitSet
from appliance.gatekeeper import quarantine
from appliance.gatekeeper.held import BLOCK_BYTES, Held, HoldBudget
from appliance.gatekeeper.quarantine import Label, NoRoomError
from tests.support.rawdicom import CR_STORAGE, EXPLICIT, image

LIMITS = LimitSet(free_bytes_floor=0)
LABEL = Label(
    code="object-truncated",
    detail="3 bytes",
    calling_ae_title="XRAY1",
    peer="10.0.0.7",
    sop_class_uid=CR_STORAGE,
    sop_instance_uid="1.2.3",
    transfer_syntax_uid=EXPLICIT,
    at="2026-01-01T00:00:00.000Z",
    received_bytes=3,
)


def _fill(held: Held, data: bytes, step: int = 100_003) -> None:
    for start in range(0, len(data), step):
        held.append(memoryview(data)[start : start + step])


async def _content(held: Held) -> bytes:
    content: list[bytes] = []

    def keep(chunks: list[memoryview]) -> str:
        content.append(b"".join(chunks))
        return "name"

    assert await held.hand_over(keep) == "name"
    return content[0]


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * BLOCK_BYTES])
async def test_object_is_held_as_it_came(size: int) -> None:
    held = Held(HoldBudget(6 * BLOCK_BYTES))
    data = bytes(range(251)) * (size // 251 + 1)
    _fill(held, data[:size])

    assert await _content(held) == data[:size]


@pytest.mark.asyncio
async def test_object_before_leaves_nothing_in_the_next() -> None:
    held = Held(HoldBudget(6 * BLOCK_BYTES))
    _fill(held, b"\x01" * 3 * BLOCK_BYTES)
    held.clear()
    _fill(held, b"\x02" * (BLOCK_BYTES + 5))

    assert await _content(held) == b"\x02" * (BLOCK_BYTES + 5)


@pytest.mark.asyncio
async def test_object_beyond_the_shared_budget_is_held_up_to_a_beginning() -> None:
    budget = HoldBudget(3 * BLOCK_BYTES)
    first, second = Held(budget), Held(budget)
    _fill(first, b"\x01" * 2 * BLOCK_BYTES)
    _fill(second, b"\x02" * 2 * BLOCK_BYTES)
    first.clear()
    _fill(second, b"\x03" * BLOCK_BYTES)

    assert await _content(second) == b"\x02" * BLOCK_BYTES, "room that came later would leave a hole"
    _fill(first, b"\x04" * 4 * BLOCK_BYTES)
    assert await _content(first) == b"\x04" * 3 * BLOCK_BYTES, "the budget did not come back whole"


@pytest.mark.asyncio
async def test_blocks_serve_no_other_object_while_a_thread_still_reads_them() -> None:
    """The association is cut in the middle of setting aside; another one goes on receiving."""
    budget = HoldBudget(BLOCK_BYTES)
    held, other = Held(budget), Held(budget)
    reading, may_end, content = threading.Event(), threading.Event(), []

    def keep(chunks: list[memoryview]) -> str:
        reading.set()
        may_end.wait(20)
        content.append(bytes(chunks[0][:5]))
        return ""

    _fill(held, b"first")
    task = asyncio.create_task(held.hand_over(keep))
    await asyncio.to_thread(reading.wait, 20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    held.clear()
    _fill(other, b"other")
    may_end.set()
    while not content or budget.take() is None:
        await asyncio.sleep(0)

    assert content == [b"first"]


def test_what_is_set_aside_opens_as_a_file(tmp_path: Path) -> None:
    data = image("1.2.3")[:-1]

    name = quarantine.keep(tmp_path, LABEL, [memoryview(data)[:100], memoryview(data)[100:]], LIMITS)

    assert (tmp_path / name).read_bytes().endswith(data)
    assert dcmread(tmp_path / name, stop_before_pixels=True).file_meta.SourceApplicationEntityTitle == "XRAY1"
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".dcm", ".json"]


def test_same_bytes_are_kept_once(tmp_path: Path) -> None:
    first = quarantine.keep(tmp_path, LABEL, [memoryview(b"data")], LIMITS)
    again = quarantine.keep(tmp_path, LABEL, [memoryview(b"data")], LIMITS)
    other = quarantine.keep(tmp_path, LABEL, [memoryview(b"other")], LIMITS)

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
    quarantine.keep(tmp_path, LABEL, [memoryview(b"first")], LIMITS)

    with pytest.raises(NoRoomError):
        quarantine.keep(tmp_path, LABEL, [memoryview(b"second")], limits)
    assert quarantine.keep(tmp_path, LABEL, [memoryview(b"first")], limits), "what is kept already needs no room"

    assert len(list(tmp_path.iterdir())) == 2


def test_half_written_files_of_a_power_cut_are_removed_at_start(tmp_path: Path) -> None:
    (tmp_path / "gate-1.dcm.part").write_bytes(b"half")
    (tmp_path / "other.part").write_bytes(b"of somebody else")
    kept = quarantine.keep(tmp_path, LABEL, [memoryview(b"data")], LIMITS)

    quarantine.remove_partial(tmp_path)

    assert {p.name for p in tmp_path.iterdir()} == {kept, kept.replace(".dcm", ".json"), "other.part"}
