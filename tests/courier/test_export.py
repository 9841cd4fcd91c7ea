"""What an export writes, how it goes on after a cut, and when it may say that the stick can be removed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from sync.courier.errors import StickError, StickFault
from sync.courier.export import Ending, Phase, Progress, export
from sync.courier.messages import FOLDER, INDEX_NAME, PARCELS_FOLDER
from sync.courier.reading import Brought, Refused
from sync.courier.sealing import new_secret, recipient_of
from sync.courier.unit_folder import UnitFolder
from sync.wire.notes import Found, StudyNotes
from tests.courier.making import LIMITS, STICK_ID, UNIT_ID, Bench, made_bench, made_keys


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return made_bench(tmp_path)


def parcels_of(bench: Bench) -> list[Path]:
    return sorted((bench.stick / FOLDER / UNIT_ID / PARCELS_FOLDER).iterdir())


def test_what_was_exported_comes_out_the_same_byte_for_byte(bench: Bench) -> None:
    outcome = export(bench.order(), bench.tools())
    assert (outcome.ending, outcome.stick, outcome.failed, outcome.left_out) == (Ending.DONE, STICK_ID, [], [])
    assert outcome.carried == list(bench.items)
    files, refused = bench.arrived()
    assert (files, refused) == (bench.expected(), [])


def test_image_larger_than_a_parcel_is_cut_and_comes_out_the_same(tmp_path: Path) -> None:
    bench = made_bench(tmp_path, study_count=1, image_count=1, rows=500)
    export(bench.order(), bench.tools())
    assert len(parcels_of(bench)) > 3
    assert bench.arrived() == (bench.expected(), [])


def test_notes_of_many_studies_are_spread_over_parcels_that_can_be_read(tmp_path: Path) -> None:
    bench = made_bench(tmp_path, study_count=4, image_count=1, rows=64)
    uids = [item.study_instance_uid for item in bench.items]
    found = tuple(Found(code=str(number), values={"text": "x" * 200}) for number in range(100))
    notes = {uid: StudyNotes(study_instance_uid=uid, revision=1, found=found) for uid in uids}
    limits = replace(LIMITS, parcel_bytes=16 * 1024 * 1024, parcel_notes_bytes_max=60_000)
    export(bench.order(notes=notes), bench.tools(limits=limits))
    assert len(parcels_of(bench)) == 2
    with Brought(bench.stick, UNIT_ID, bench.keys.public_key, limits) as brought:
        parcels = [one for one in brought.parcels(bench.centre_secret) if not isinstance(one, Refused)]
    told = [study.notes for parcel in parcels for study in parcel.head.studies]
    assert told == [notes[uid] for uid in uids]


def test_second_export_writes_nothing_and_encodes_nothing(bench: Bench) -> None:
    export(bench.order(), bench.tools())
    before = [(path.name, path.stat().st_mtime_ns) for path in parcels_of(bench)]
    bench.encoder.encoded_count = 0
    outcome = export(bench.order(), bench.tools())
    assert (outcome.ending, outcome.written_bytes, bench.encoder.encoded_count) == (Ending.DONE, 0, 0)
    assert outcome.carried == list(bench.items)
    assert [(path.name, path.stat().st_mtime_ns) for path in parcels_of(bench)] == before


def test_second_reader_with_the_recovery_key_opens_it_and_nobody_else(bench: Bench) -> None:
    recovery = new_secret()
    export(bench.order(recipients=(recipient_of(bench.centre_secret), recipient_of(recovery))), bench.tools())
    assert bench.arrived(recovery)[0] == bench.expected()
    files, refused = bench.arrived(new_secret())
    assert files == {}
    assert {one.sentence.partition(": ")[2] for one in refused} == {"it is encrypted to another key."}


def test_nothing_readable_on_the_stick_tells_of_a_patient_a_study_or_a_file(bench: Bench) -> None:
    export(bench.order(), bench.tools())
    told = b""
    for folder, _, names in os.walk(bench.stick):
        told += folder.encode()
        for name in names:
            told += name.encode() + (Path(folder) / name).read_bytes()
    for item in bench.items:
        secrets = (item.sop_instance_uid, item.study_instance_uid, item.series_instance_uid, item.sha256, "DOE", "P-1")
        assert not [secret for secret in secrets if secret.encode() in told]


def test_stopped_export_goes_on_where_it_ended(tmp_path: Path) -> None:
    bench = made_bench(tmp_path, study_count=3, image_count=2)
    asked: list[int] = []
    bench.encoder.after_each = lambda: asked.append(1)
    outcome = export(bench.order(), bench.tools(cancelled=lambda: len(asked) >= 3))
    assert (outcome.ending, outcome.carried) == (Ending.STOPPED, [])
    made_before = len(asked)
    there = len(bench.arrived()[0])
    assert 0 < there < len(bench.items)
    outcome = export(bench.order(), bench.tools())
    assert outcome.ending is Ending.DONE
    assert len(asked) == made_before + len(bench.items) - there
    assert bench.arrived() == (bench.expected(), [])


def test_parcel_that_was_cut_off_before_its_line_is_written_anew(bench: Bench) -> None:
    export(bench.order(items=bench.items[:2]), bench.tools())
    index = bench.stick / FOLDER / UNIT_ID / INDEX_NAME
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(b"".join(lines[:2]) + lines[2][:40])  # the line of the second parcel was never finished
    assert len(bench.arrived()[0]) < 2
    assert export(bench.order(), bench.tools()).ending is Ending.DONE
    assert bench.arrived() == (bench.expected(), [])


def test_pieces_of_a_cut_image_that_stand_are_not_written_again(tmp_path: Path) -> None:
    bench = made_bench(tmp_path, study_count=1, image_count=1, rows=500)
    export(bench.order(), bench.tools())
    paths = parcels_of(bench)
    paths[1].unlink()
    kept = [(path.name, path.stat().st_mtime_ns) for path in paths if path.exists()]
    outcome = export(bench.order(), bench.tools())
    assert outcome.carried == list(bench.items)
    assert outcome.written_bytes < 2 * LIMITS.parcel_bytes
    assert [(path.name, path.stat().st_mtime_ns) for path in paths if path.exists()] == kept
    assert bench.arrived() == (bench.expected(), [])


def test_parcel_damaged_since_an_earlier_export_is_found_and_written_again(bench: Bench) -> None:
    export(bench.order(), bench.tools())
    victim = parcels_of(bench)[0]
    octets = bytearray(victim.read_bytes())
    octets[-1] ^= 1
    victim.write_bytes(octets)
    outcome = export(bench.order(), bench.tools())
    assert (outcome.ending, outcome.damaged_count) == (Ending.DONE, 1)
    assert outcome.carried == list(bench.items)
    assert bench.arrived() == (bench.expected(), [])
    assert not victim.exists()


def test_image_that_cannot_be_prepared_does_not_stop_the_others(bench: Bench) -> None:
    bench.encoder.broken.add(bench.items[0].sha256)
    outcome = export(bench.order(), bench.tools())
    assert [(item, failure.code) for item, failure in outcome.failed] == [(bench.items[0], "damaged-here")]
    assert outcome.carried == list(bench.items[1:])
    assert outcome.left_out == []


def test_what_has_arrived_makes_room(bench: Bench) -> None:
    first = bench.items[:2]
    export(bench.order(items=first), bench.tools())
    before = set(parcels_of(bench))
    export(
        bench.order(items=bench.items[2:], delivered=[(item.sop_instance_uid, item.sha256) for item in first]),
        bench.tools(),
    )
    assert not before & set(parcels_of(bench))
    assert set(bench.arrived()[0]) == {item.sop_instance_uid for item in bench.items[2:]}


def test_stick_of_a_unit_that_has_another_centre_now_is_written_anew(bench: Bench) -> None:
    export(bench.order(), bench.tools())
    bench.centre_secret = new_secret()
    outcome = export(bench.order(recipients=(recipient_of(bench.centre_secret),)), bench.tools())
    assert outcome.carried == list(bench.items)
    assert bench.arrived() == (bench.expected(), [])


def test_two_units_share_a_stick(tmp_path: Path, bench: Bench) -> None:
    (tmp_path / "other").mkdir()
    other = made_bench(tmp_path / "other", bench.stick)
    other.keys = made_keys(2, "99999999-2222-4333-8444-555555555555")
    export(bench.order(), bench.tools())
    export(other.order(), other.tools())
    assert bench.arrived() == (bench.expected(), [])
    assert other.arrived() == (other.expected(), [])


def test_progress_ends_with_all_copied_and_all_checked(bench: Bench) -> None:
    seen: list[Progress] = []
    export(bench.order(), bench.tools(on_progress=seen.append))
    copying = [one for one in seen if one.phase is Phase.COPYING]
    checking = [one for one in seen if one.phase is Phase.CHECKING]
    total_bytes = sum(item.size_bytes for item in bench.items)
    assert (copying[-1].done_bytes, copying[-1].total_bytes) == (total_bytes, total_bytes)
    assert (copying[-1].done_count, copying[-1].total_count) == (len(bench.items), len(bench.items))
    assert checking[-1].done_bytes == checking[-1].total_bytes == sum(path.stat().st_size for path in parcels_of(bench))


@pytest.mark.fault(58)
def test_medium_that_drops_what_was_just_written_is_found_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    settle = UnitFolder.settle

    def settle_and_lose(folder: UnitFolder) -> None:
        settle(folder)
        newest = parcels_of(bench)[-1]
        newest.write_bytes(bytes(newest.stat().st_size))

    monkeypatch.setattr(UnitFolder, "settle", settle_and_lose)
    outcome = export(bench.order(), bench.tools())
    assert (outcome.ending, outcome.carried) == (Ending.LIES, [])


def test_link_in_place_of_our_folder_is_refused(tmp_path: Path, bench: Bench) -> None:
    (tmp_path / "elsewhere").mkdir()
    (bench.stick / FOLDER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StickError) as refused:
        export(bench.order(), bench.tools())
    assert refused.value.fault is StickFault.STRANGE
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_pipe_in_place_of_the_index_does_not_hang(bench: Bench) -> None:
    export(bench.order(), bench.tools())
    index = bench.stick / FOLDER / UNIT_ID / INDEX_NAME
    index.unlink()
    os.mkfifo(index)
    with pytest.raises(StickError) as refused:
        export(bench.order(), bench.tools())
    assert refused.value.fault is StickFault.STRANGE
