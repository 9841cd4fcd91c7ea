"""The parts on disk: found again, torn ones dropped, bounds kept, what is being sent never taken away."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from sync.encoder import spool as spool_module
from sync.encoder.entry import PartsRecord, PreviewRecord, entry_folder
from sync.encoder.messages import PIXELS, PREVIEW, SKELETON
from sync.encoder.room import Claim, Kept, leaving_order
from sync.encoder.spool import SENDING_COUNT_MIN, Spool, SpoolBounds

PLENTY = 1 << 40
BOUNDS = SpoolBounds(bytes_max=PLENTY, entry_count_max=1000, free_bytes_min=0)


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def opened(folder: Path, bounds: SpoolBounds = BOUNDS, free_bytes: int = PLENTY) -> Spool:
    return Spool(folder / "spool", bounds, lambda: free_bytes)


def keep(spool: Spool, number: int, pixels: bytes = b"pixels", *, jxl: int = 7) -> PartsRecord:
    """Put parts in as a worker leaves them."""
    skeleton = f"skeleton {number}".encode()
    record = PartsRecord(
        jxl=jxl,
        zstd=19,
        codec="jxl",
        original_bytes=100,
        skeleton_sha256=hashlib.sha256(skeleton).hexdigest(),
        skeleton_bytes=len(skeleton),
        pixels_sha256=hashlib.sha256(pixels).hexdigest() if pixels else "",
        pixels_bytes=len(pixels),
        restores_sha256=digest(-number) if pixels else "",
        restores_bytes=90 if pixels else 0,
    )
    with spool.work_folder() as work:
        (work / SKELETON).write_bytes(skeleton)
        if pixels:
            (work / PIXELS).write_bytes(pixels)
        spool.keep_parts(digest(number), work, record)
    return record


def keep_preview(spool: Spool, number: int, data: bytes = b"picture") -> None:
    record = PreviewRecord(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), media_type="image/webp")
    with spool.work_folder() as work:
        (work / PREVIEW).write_bytes(data)
        spool.keep_preview(digest(number), work, record)


def there(spool: Spool, *numbers: int) -> list[int]:
    return [number for number in numbers if spool.has_parts(digest(number))]


def files_below(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


# --- found again ----------------------------------------------------------------------------------------------------


def test_parts_and_preview_are_the_same_after_a_restart(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    keep(spool, 1, b"some pixels")
    keep_preview(spool, 1)
    before, preview = spool.offer(digest(1)), spool.preview(digest(1))
    spool.close()
    again = opened(tmp_path)
    assert again.offer(digest(1)) == before
    assert again.preview(digest(1)) == preview
    assert before is not None and before.pixels is not None and before.pixels.read_bytes() == b"some pixels"
    assert preview is not None and preview.file is not None and preview.file.path.read_bytes() == b"picture"
    again.close()


def test_file_without_pixels_and_one_without_preview_are_remembered_as_such(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    keep(spool, 1, b"")
    with spool.work_folder() as work:
        spool.keep_preview(digest(1), work, PreviewRecord())
    spool.close()
    again = opened(tmp_path)
    offered, preview = again.offer(digest(1)), again.preview(digest(1))
    assert offered is not None and offered.no_pixels and offered.pixels is None
    assert preview is not None and preview.file is None
    again.close()


@pytest.mark.parametrize("name", [PIXELS, SKELETON])
@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_torn_parts_are_not_offered_and_how_they_were_made_stays_known(tmp_path: Path, name: str, damage: str) -> None:
    spool = opened(tmp_path)
    keep(spool, 1, b"some pixels", jxl=5)
    spool.offer(digest(1))
    spool.close()
    path = entry_folder(tmp_path / "spool", digest(1)) / name
    body = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(body[:-1])
    elif damage == "changed":
        path.write_bytes(body[:-1] + bytes((body[-1] ^ 1,)))
    again = opened(tmp_path)
    assert again.offer(digest(1)) is None
    assert not again.has_parts(digest(1))
    record = again.record(digest(1))
    assert record is not None and record.offered and record.jxl == 5
    again.close()


@pytest.mark.parametrize("body", [b"", b"{", b'{"jxl": 3}', b"\0" * 200])
def test_torn_record_is_as_if_nothing_had_been_made(tmp_path: Path, body: bytes) -> None:
    spool = opened(tmp_path)
    keep(spool, 1)
    spool.close()
    folder = entry_folder(tmp_path / "spool", digest(1))
    (folder / "parts.json").write_bytes(body)
    again = opened(tmp_path)
    assert again.record(digest(1)) is None
    assert not folder.exists()
    again.close()


@pytest.mark.parametrize("body", [b"", b"pictur", b"Picture"])
def test_torn_preview_is_made_again(tmp_path: Path, body: bytes) -> None:
    spool = opened(tmp_path)
    keep(spool, 1)
    keep_preview(spool, 1)
    spool.close()
    (entry_folder(tmp_path / "spool", digest(1)) / PREVIEW).write_bytes(body)
    again = opened(tmp_path)
    assert again.preview(digest(1)) is None
    assert not again.has_preview(digest(1))
    assert again.has_parts(digest(1))
    again.close()


def test_pixels_that_vanish_while_it_runs_are_not_offered(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    keep(spool, 1)
    (entry_folder(tmp_path / "spool", digest(1)) / PIXELS).unlink()
    assert spool.offer(digest(1)) is None
    assert not spool.has_parts(digest(1))
    spool.close()


def test_work_in_progress_is_removed_at_the_next_start_and_strange_folders_too(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    for folder in (root / "work" / "7", root / "ab" / "strange", root / "ab" / digest(9)):
        folder.mkdir(parents=True)
        (folder / "left").write_bytes(b"over")
    opened(tmp_path).close()
    assert files_below(root) == {"lock"}


def test_two_processes_cannot_use_one_folder(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(OSError):
        opened(tmp_path)
    spool.close()
    opened(tmp_path).close()


# --- the same bytes -------------------------------------------------------------------------------------------------


def test_offer_survives_a_restart_and_making_the_same_again_keeps_it(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    keep(spool, 1)
    assert not _record(spool, 1).offered
    spool.offer(digest(1))
    keep(spool, 1)
    assert _record(spool, 1).offered
    spool.close()
    again = opened(tmp_path)
    assert _record(again, 1).offered
    keep(again, 1, b"other pixels")
    assert not _record(again, 1).offered, "these bytes were never offered"
    again.close()


def _record(spool: Spool, number: int) -> PartsRecord:
    record = spool.record(digest(number))
    assert record is not None
    return record


# --- room -----------------------------------------------------------------------------------------------------------


def test_leaving_order_is_by_claim_then_last_wish_then_longest_unused() -> None:
    kept = [
        Kept("offered", 1, Claim.OFFERED, used_number=1),
        Kept("first wish", 1, Claim.WISHED, rank=0),
        Kept("last wish", 1, Claim.WISHED, rank=9),
        Kept("nobody new", 1, Claim.NOBODY, used_number=8),
        Kept("nobody old", 1, Claim.NOBODY, used_number=2),
        Kept("nobody empty", 0, Claim.NOBODY),
        Kept("delivered", 1, Claim.DELIVERED, used_number=99),
    ]
    order = [each.sha256 for each in leaving_order(kept, Claim.WISHED)]
    assert order == ["delivered", "nobody old", "nobody new", "last wish", "first wish"]


def test_bytes_stay_below_the_bound_and_only_what_nobody_needs_goes(tmp_path: Path) -> None:
    spool = opened(tmp_path, SpoolBounds(bytes_max=4000, entry_count_max=99, free_bytes_min=0))
    for number in range(1, 5):
        keep(spool, number, bytes(900))
    spool.wish({digest(1): 0, digest(2): 1})
    spool.forget(digest(4))
    assert spool.make_room(900, is_awaited=False)
    assert there(spool, 1, 2, 3, 4) == [1, 2, 3]
    assert spool.make_room(1800, is_awaited=False)
    assert there(spool, 1, 2, 3, 4) == [1, 2]
    assert spool.kept_bytes + 1800 <= 4000
    spool.close()


def test_work_ahead_never_displaces_what_is_needed_sooner(tmp_path: Path) -> None:
    spool = opened(tmp_path, SpoolBounds(bytes_max=2000, entry_count_max=99, free_bytes_min=0))
    keep(spool, 1, bytes(900))
    keep(spool, 2, bytes(900))
    spool.wish({digest(1): 0, digest(3): 1, digest(2): 2})
    assert spool.make_room(900, is_awaited=False, sha256=digest(3))
    assert there(spool, 1, 2) == [1], "2 is needed after 3"
    assert not spool.make_room(1900, is_awaited=False, sha256=digest(3))
    assert there(spool, 1, 2) == [1]
    assert spool.make_room(1900, is_awaited=True, sha256=digest(9))
    assert there(spool, 1, 2) == []
    spool.close()


def test_what_is_being_sent_stays_even_when_room_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "SENDING_BYTES", 0)
    numbers = list(range(1, SENDING_COUNT_MIN + 3))
    spool = opened(tmp_path, SpoolBounds(bytes_max=10, entry_count_max=99, free_bytes_min=0))
    for number in numbers:
        keep(spool, number)
        spool.offer(digest(number))
    assert not spool.make_room(1, is_awaited=False)
    assert there(spool, *numbers) == numbers, "work ahead takes nothing that was offered"
    assert not spool.make_room(1, is_awaited=True)
    assert there(spool, *numbers) == numbers[-SENDING_COUNT_MIN:]
    assert _record(spool, 1).offered, "how it was made is not forgotten"
    spool.close()


def test_forgotten_parts_go_first_but_not_before_room_is_needed(tmp_path: Path) -> None:
    spool = opened(tmp_path, SpoolBounds(bytes_max=2000, entry_count_max=99, free_bytes_min=0))
    keep(spool, 1, bytes(900))
    spool.offer(digest(1))
    spool.forget(digest(1))
    spool.close()
    again = opened(tmp_path, SpoolBounds(bytes_max=2000, entry_count_max=99, free_bytes_min=0))
    assert there(again, 1) == [1]
    assert again.make_room(1500, is_awaited=False)
    assert there(again, 1) == []
    again.close()


def test_forgotten_parts_that_another_destination_asks_for_are_needed_again(tmp_path: Path) -> None:
    spool = opened(tmp_path, SpoolBounds(bytes_max=100, entry_count_max=99, free_bytes_min=0))
    keep(spool, 1)
    spool.offer(digest(1))
    spool.forget(digest(1))
    assert spool.offer(digest(1)) is not None
    assert not spool.make_room(100, is_awaited=True)
    assert there(spool, 1) == [1]
    spool.close()


def test_disk_that_fills_up_gets_its_room_back(tmp_path: Path) -> None:
    free = [5000]
    spool = Spool(tmp_path / "spool", SpoolBounds(PLENTY, 99, free_bytes_min=4000), lambda: free[0])
    keep(spool, 1, bytes(900))
    assert spool.make_room(1000, is_awaited=False)
    assert there(spool, 1) == [1]
    free[0] = 4500
    assert not spool.make_room(1000, is_awaited=False)
    assert there(spool, 1) == []
    spool.close()


def test_disk_that_filled_up_while_it_was_off_gets_its_room_back_at_the_start(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    keep(spool, 1)
    spool.close()
    again = opened(tmp_path, SpoolBounds(PLENTY, 99, free_bytes_min=4000), free_bytes=100)
    assert there(again, 1) == []
    again.close()


def test_number_of_entries_is_bounded_and_the_newest_stays(tmp_path: Path) -> None:
    spool = opened(tmp_path, SpoolBounds(PLENTY, entry_count_max=3, free_bytes_min=0))
    for number in range(1, 6):
        keep(spool, number)
        keep_preview(spool, number)
    assert there(spool, *range(1, 6)) == [3, 4, 5]
    assert len(spool.digests()) == 3
    spool.close()


def test_purged_file_leaves_nothing(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    keep(spool, 1)
    keep_preview(spool, 1)
    spool.offer(digest(1))
    spool.purge(digest(1))
    spool.purge(digest(1))
    assert files_below(tmp_path / "spool") == {"lock"}
    assert spool.record(digest(1)) is None
    spool.close()


@pytest.mark.fault(15)
def test_full_disk_while_parts_are_taken_over_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    write_bytes = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.suffix == ".partial":
            raise OSError(errno.ENOSPC, "full")
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError):
        keep(spool, 1)
    assert spool.record(digest(1)) is None
    assert files_below(tmp_path / "spool") == {"lock"}
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    keep(spool, 1)
    assert there(spool, 1) == [1]
    spool.close()


@pytest.mark.fault(62)
@pytest.mark.parametrize("name", ["../../etc/passwd", "", "a" * 63, "A" * 64, "g" * 64])
def test_only_a_digest_names_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        entry_folder(tmp_path, name)
