"""A stick is untrusted: whatever stands on it is used only as far as it proves itself, and refused piece by piece."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync.courier.errors import FormatError, NotForUs, StickError
from sync.courier.export import export
from sync.courier.index import read_index, write_line
from sync.courier.messages import (
    FOLDER,
    INDEX_NAME,
    PARCELS_FOLDER,
    Begun,
    ParcelHead,
    ParcelLine,
    Reply,
    Slice,
    Statement,
    Struck,
    Verified,
)
from sync.courier.parcel import MAGIC, close_parcel, open_parcel, parcel_name
from sync.courier.reading import Brought, units_on
from sync.courier.reply import read_reply, write_reply
from sync.courier.sealing import new_secret, recipient_of, seal
from sync.wire.messages import Inbox
from tests.courier.making import LIMITS, STICK_ID, UNIT_ID, Bench, made_bench, made_keys

OTHER_ID = "99999999-2222-4333-8444-555555555555"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = made_bench(tmp_path, study_count=1, image_count=3)
    export(made.order(), made.tools())
    assert len(made.arrived()[0]) == 3
    return made


def folder_of(bench: Bench) -> Path:
    return bench.stick / FOLDER / UNIT_ID


def parcel(bench: Bench, number: int) -> Path:
    return folder_of(bench) / PARCELS_FOLDER / parcel_name(number)


def sentences(bench: Bench) -> list[str]:
    return [one.sentence for one in bench.arrived()[1]]


def test_damaged_parcel_is_refused_alone(bench: Bench) -> None:
    octets = bytearray(parcel(bench, 1).read_bytes())
    octets[len(octets) // 2] ^= 1
    parcel(bench, 1).write_bytes(octets)
    files, refused = bench.arrived()
    assert [one.number for one in refused] == [1]
    assert "not those that the unit wrote" in refused[0].sentence
    assert 0 < len(files) < 3


def test_missing_parcel_is_named(bench: Bench) -> None:
    parcel(bench, 2).unlink()
    assert sentences(bench) == ["Parcel 2 is missing on the stick."]


def test_parcels_that_changed_places_are_refused(bench: Bench) -> None:
    first, second = parcel(bench, 1).read_bytes(), parcel(bench, 2).read_bytes()
    parcel(bench, 1).write_bytes(second)
    parcel(bench, 2).write_bytes(first)
    assert len(sentences(bench)) == 2


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_no_plain_file_is_followed_or_waited_for(bench: Bench, tmp_path: Path, kind: str) -> None:
    at = parcel(bench, 1)
    at.rename(tmp_path / "moved")
    if kind == "link":
        at.symlink_to(tmp_path / "moved")
    elif kind == "pipe":
        os.mkfifo(at)
    else:
        at.mkdir()
    (sentence,) = sentences(bench)
    assert sentence.startswith("Parcel 1 cannot be read: ")


def test_giant_file_in_place_of_a_parcel_is_not_read(bench: Bench) -> None:
    with parcel(bench, 1).open("r+b") as file:
        file.truncate(1 << 40)
    (sentence,) = sentences(bench)
    assert "longer than" in sentence


def test_line_that_promises_a_giant_is_refused_before_reading(bench: Bench) -> None:
    line = ParcelLine(stick=STICK_ID, number=9, size_bytes=LIMITS.parcel_file_bytes_max + 1, sha256="0" * 64)
    with (folder_of(bench) / INDEX_NAME).open("ab") as file:
        file.write(write_line(line, bench.keys.sign))
    assert sentences(bench) == ["Parcel 9 was refused: it is larger than a parcel may be."]


def test_index_signed_by_another_unit_says_nothing(bench: Bench) -> None:
    with pytest.raises(FormatError, match="signed by this unit"):
        Brought(bench.stick, UNIT_ID, made_keys(2).public_key, LIMITS)


def test_folder_renamed_to_another_unit_is_refused(bench: Bench) -> None:
    folder_of(bench).rename(bench.stick / FOLDER / OTHER_ID)
    with pytest.raises(FormatError, match="another unit"):
        Brought(bench.stick, OTHER_ID, bench.keys.public_key, LIMITS)


def test_parcel_of_one_unit_signed_by_another_as_its_own_is_refused(bench: Bench) -> None:
    thief = made_keys(2, OTHER_ID)
    stolen = bench.stick / FOLDER / OTHER_ID
    with Brought(bench.stick, UNIT_ID, bench.keys.public_key, LIMITS) as brought:
        begun = Begun(stick=STICK_ID, unit_id=OTHER_ID, reply_to=thief.reply_to)
        lines: list[Statement] = [begun, *brought.index.parcels.values()]
    folder_of(bench).rename(stolen)
    (stolen / INDEX_NAME).write_bytes(b"".join(write_line(line, thief.sign) for line in lines))
    with Brought(bench.stick, OTHER_ID, thief.public_key, LIMITS) as brought:
        results = list(brought.parcels(bench.centre_secret))
    assert {getattr(one, "sentence", "taken").partition(": ")[2] for one in results} == {
        "it was made by another unit, or for another stick."
    }


def test_lines_of_another_stick_of_the_same_unit_do_not_count(bench: Bench) -> None:
    line = Struck(stick="f" * 16, number=1)
    with (folder_of(bench) / INDEX_NAME).open("ab") as file:
        file.write(write_line(line, bench.keys.sign))
    assert bench.arrived() == (bench.expected(), [])


def test_only_folders_named_like_a_unit_are_looked_at(bench: Bench) -> None:
    for name in ("..", "autorun.inf", "DICOMDIR", UNIT_ID.upper(), f"{UNIT_ID} "):
        (bench.stick / FOLDER / name).mkdir(exist_ok=True)
    assert units_on(bench.stick, LIMITS) == (UNIT_ID,)


def test_stick_without_our_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        units_on(tmp_path, LIMITS)


def test_link_in_place_of_a_units_folder_is_refused(bench: Bench, tmp_path: Path) -> None:
    folder_of(bench).rename(tmp_path / "moved")
    folder_of(bench).symlink_to(tmp_path / "moved")
    with pytest.raises(StickError):
        Brought(bench.stick, UNIT_ID, bench.keys.public_key, LIMITS)


@given(st.lists(st.binary(max_size=200) | st.sampled_from(["torn", "good", "swapped"]), max_size=12))
def test_index_of_any_octets_reads_as_the_lines_that_were_signed(pieces: list[bytes | str]) -> None:
    keys = made_keys()
    lines: list[bytes] = []
    good: list[int] = []
    for number, piece in enumerate(pieces, start=1):
        line = write_line(ParcelLine(stick=STICK_ID, number=number, size_bytes=1, sha256="0" * 64), keys.sign)
        if piece == "good":
            good.append(number)
        elif piece == "torn":
            line = line[: len(line) // 2] + b"\n"
        elif piece == "swapped":
            line = line.replace(b'"number"', b'"number" ')
        else:
            assert isinstance(piece, bytes)
            line = piece
        lines.append(line)
    index = read_index(lines, keys.public_key, LIMITS)
    assert list(index.parcels) == good
    assert index.strange_count == len(pieces) - len(good)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300), st.booleans())
def test_parcel_of_any_octets_is_refused_with_a_sentence(octets: bytes, begins_right: bool) -> None:
    secret = new_secret()
    with pytest.raises(FormatError):
        open_parcel(seal(MAGIC + octets if begins_right else octets, [recipient_of(secret)]), secret, LIMITS)
    with pytest.raises(FormatError):
        open_parcel(octets, secret, LIMITS)


def test_head_longer_than_allowed_is_refused() -> None:
    secret = new_secret()
    octets = MAGIC + (LIMITS.parcel_head_bytes_max + 1).to_bytes(4, "big") + bytes(LIMITS.parcel_head_bytes_max + 1)
    with pytest.raises(FormatError, match="longer"):
        open_parcel(seal(octets, [recipient_of(secret)]), secret, LIMITS)


def test_slice_beyond_its_part_is_refused() -> None:
    secret = new_secret()
    piece = Slice(sha256="0" * 64, part_bytes=10, offset=5, size_bytes=6)
    head = ParcelHead(unit_id=UNIT_ID, stick=STICK_ID, number=1, slices=(piece,))
    with pytest.raises(FormatError, match="beyond"):
        open_parcel(close_parcel(head, [bytes(6)], [recipient_of(secret)]), secret, LIMITS)


def test_study_uid_that_is_none_is_refused() -> None:
    secret = new_secret()
    head = msgspec.to_builtins(ParcelHead(unit_id=UNIT_ID, stick=STICK_ID, number=1))
    head["studies"] = [{"study_instance_uid": "../../etc", "manifest": {"revision": 0}}]
    said = msgspec.json.encode(head)
    with pytest.raises(FormatError, match="head"):
        open_parcel(seal(MAGIC + len(said).to_bytes(4, "big") + said, [recipient_of(secret)]), secret, LIMITS)


def test_verified_counts_only_for_what_stood_then() -> None:
    keys = made_keys()
    line = ParcelLine(stick=STICK_ID, number=1, size_bytes=1, sha256="0" * 64)
    verified = Verified(stick=STICK_ID, parcel_count=1)

    def said(*statements: ParcelLine | Verified) -> bool:
        return read_index([write_line(one, keys.sign) for one in statements], keys.public_key, LIMITS).verified

    assert said(line, verified)
    assert not said(line, verified, msgspec.structs.replace(line, number=2))
    assert not said(verified, line)


def test_answer_reads_back_for_its_unit_alone() -> None:
    centre, unit = made_keys(3), made_keys()
    reply = Reply(unit_id=UNIT_ID, stick=STICK_ID, inbox=Inbox(epoch="e", head=4))
    sealed = write_reply(reply, centre.sign, unit.reply_to)
    assert read_reply(sealed, unit.reply_secret, centre.public_key, UNIT_ID, LIMITS) == reply
    with pytest.raises(NotForUs):
        read_reply(sealed, new_secret(), centre.public_key, UNIT_ID, LIMITS)
    with pytest.raises(FormatError, match="not written by"):
        read_reply(sealed, unit.reply_secret, unit.public_key, UNIT_ID, LIMITS)
    with pytest.raises(FormatError, match="another unit"):
        read_reply(sealed, unit.reply_secret, centre.public_key, OTHER_ID, LIMITS)
    with pytest.raises(FormatError, match="damaged"):
        read_reply(seal(b"{}", [unit.reply_to]), unit.reply_secret, centre.public_key, UNIT_ID, LIMITS)
