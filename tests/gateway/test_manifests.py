"""What units announce is merged by instance and digest, and answered with what is here, whoever brought it."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from pydicom.uid import generate_uid

from sync.wire import messages as m
from sync.wire.encode import FAST
from sync.wire.headers import pack
from tests.gateway.rig import (
    Gateway,
    Pacs,
    Parted,
    Unit,
    file_of,
    noisy_picture,
    part_up,
    picture_in_parts,
    problem,
    sha256,
)

STUDY = "2.25.4711"


def put(unit: Unit, study: str, manifest: m.Manifest, **headers: str) -> Any:
    return unit.http.put(
        f"/v1/studies/{study}/manifest", content=msgspec.json.encode(manifest), headers={**unit.auth, **headers}
    )


def test_answer_tells_offsets_and_what_is_known_and_said_twice_it_is_the_same(unit: Unit, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, seed=60)
    first = unit.announce(picture)
    known = first.instances[picture.uid]
    assert (known.header_known, known.pixels_known, known.preview_known) == (False, False, False)
    unit.send_part(picture.header)
    unit.send_part(picture.preview)
    assert unit.append(picture.instance.pixels, picture.pixels[:10_000]).status_code == 204

    def standing() -> tuple[int, bool, bool, bool]:
        answer = unit.announce(picture)
        found = answer.instances[picture.uid]
        offset = answer.parts[picture.instance.pixels].offset
        return offset, found.header_known, found.pixels_known, found.preview_known

    from tests.support.world import wait_for

    wait_for(lambda: standing() == (10_000, True, False, True), "the header to be unpacked")
    assert standing() == standing()


def test_parts_that_are_made_later_come_in_a_later_manifest(unit: Unit, pacs: Pacs, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, seed=61)
    bare = msgspec.structs.replace(picture.instance, header="", pixels="", preview="")
    announced = put(unit, picture.study_uid, m.Manifest(revision=1, instances=(bare,)))
    assert announced.status_code == 200
    unit.send(picture)
    assert unit.receipt(unit.wait_for_entries(1)[0].receipt).sha256 == picture.instance.sha256


def test_older_manifest_that_comes_late_only_adds(gateway: Gateway, unit: Unit, tmp_path: Path) -> None:
    one, two = (picture_in_parts(tmp_path / str(seed), seed=seed) for seed in (62, 63))
    for revision, picture, priority in ((5, one, "stat"), (3, two, "routine")):
        manifest = m.Manifest(
            revision=revision,
            priority=priority,
            instances=(picture.instance,),
            parts=picture.infos,
            study=m.StudyInfo(patient_id=str(revision)),
        )
        assert put(unit, STUDY, manifest).status_code == 200
    stale = msgspec.structs.replace(one.instance, pixels="a" * 64, preview="")
    assert put(unit, STUDY, m.Manifest(revision=4, instances=(stale,))).status_code == 200
    rows = gateway.query(f"SELECT revision, priority, info FROM study WHERE unit_id = '{unit.unit_id}'")
    assert rows == [(5, "stat", '{"patient_id":"5"}')]
    claims = gateway.query(f"SELECT pixels FROM claim WHERE unit_id = '{unit.unit_id}' ORDER BY file_id")
    assert claims == [(one.instance.pixels,), (two.instance.pixels,)]


def test_other_parts_named_later_replace_those_named_before(unit: Unit, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, seed=64)
    wrong = msgspec.structs.replace(picture.instance, pixels="b" * 64, header="c" * 64)
    parts = (m.PartInfo(sha256="b" * 64, size_bytes=9, kind=m.PartKind.PIXELS),)
    assert put(unit, picture.study_uid, m.Manifest(revision=1, instances=(wrong,), parts=parts)).status_code == 200
    unit.revision = 1
    unit.send(picture)
    assert unit.wait_for_entries(1)[0].kind == m.InboxKind.RECEIPT


@pytest.mark.fault(56)
def test_unit_that_was_set_up_anew_sends_nothing_twice_and_gets_its_receipts(
    unit: Unit, other: Unit, pacs: Pacs, tmp_path: Path
) -> None:
    picture = picture_in_parts(tmp_path, seed=65)
    unit.send(picture)
    unit.wait_for_entries(1)
    stored_count = pacs.stored_count
    answer = other.announce(picture)
    assert all(state.complete for state in answer.parts.values())
    found = answer.instances[picture.uid]
    assert found.state is m.InstanceState.VERIFIED
    assert other.receipt(found.receipt).unit_id == other.unit_id
    (entry,) = other.wait_for_entries(1)
    assert entry.receipt == found.receipt
    assert pacs.stored_count == stored_count, "the PACS was not given it again"


@pytest.mark.fault(56)
def test_part_that_one_unit_began_is_finished_by_another(unit: Unit, other: Unit, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, seed=66)
    unit.announce(picture)
    assert unit.append(picture.instance.pixels, picture.pixels[:20_000]).status_code == 204
    assert other.announce(picture).parts[picture.instance.pixels].offset == 20_000
    other.send(picture)
    for one in (unit, other):
        assert one.receipt(one.wait_for_entries(1)[0].receipt).unit_id == one.unit_id


def test_correction_of_a_header_sends_a_header_alone(unit: Unit, pacs: Pacs, tmp_path: Path) -> None:
    picture = noisy_picture(80_000, 67)
    before = part_up(file_of(picture), tmp_path / "before")
    unit.send(before)
    unit.wait_for_entries(1)
    picture.PatientName, picture.PatientID = "RIGHT^NAME", "RIGHT"
    picture.SOPInstanceUID = picture.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    after = part_up(file_of(picture), tmp_path / "after")
    assert after.instance.sha256 != before.instance.sha256
    # As another encoder run would give it: another pixel part that restores the same bytes.
    other_name = sha256(b"another coding")
    infos = tuple(
        msgspec.structs.replace(info, sha256=other_name, size_bytes=14) if info.kind is m.PartKind.PIXELS else info
        for info in after.infos
    )
    renamed = dataclasses.replace(
        after, instance=msgspec.structs.replace(after.instance, pixels=other_name), infos=infos
    )
    answer = unit.announce(renamed)
    assert answer.parts[other_name] == m.PartState(offset=0, not_needed=True)
    assert answer.instances[after.uid].pixels_known
    unit.send_part(after.header)
    assert unit.receipt(unit.wait_for_entries(2)[1].receipt).sha256 == after.instance.sha256
    assert pacs.held[after.uid] == after.file


def test_part_that_only_claims_to_restore_the_pixels_is_not_believed_twice(
    unit: Unit, other: Unit, pacs: Pacs, tmp_path: Path
) -> None:
    """A part that is said to restore what it does not must keep nobody's study from the PACS."""
    honest, liar = picture_in_parts(tmp_path / "a", seed=68), picture_in_parts(tmp_path / "b", seed=69)
    restores = next(info.restores_sha256 for info in honest.infos if info.kind is m.PartKind.PIXELS)
    lies = tuple(
        msgspec.structs.replace(info, restores_sha256=restores) if info.kind is m.PartKind.PIXELS else info
        for info in liar.infos
    )
    other.send(dataclasses.replace(liar, infos=lies))
    other.wait_for_entries(1)
    assert unit.announce(honest).parts[honest.instance.pixels].not_needed
    unit.send_part(honest.header)
    from tests.support.world import wait_for

    wait_for(lambda: not unit.announce(honest).parts[honest.instance.pixels].not_needed, "the lie to be found out")
    unit.send_part(honest.pixels)
    assert unit.wait_for_entries(1)[0].kind == m.InboxKind.RECEIPT
    assert pacs.held[honest.uid] == honest.file


def test_one_header_part_serves_a_whole_series(unit: Unit, pacs: Pacs, tmp_path: Path) -> None:
    pictures = [picture_in_parts(tmp_path / str(i), size_bytes=5_000, seed=70 + i) for i in range(6)]
    from sync.wire.headers import unpack

    skeletons = {sha: s for one in pictures for sha, s in unpack(one.header).items()}
    header = pack(skeletons, FAST)
    info = m.PartInfo(sha256=sha256(header), size_bytes=len(header), kind=m.PartKind.HEADER)

    def shared(one: Parted) -> Parted:
        infos = (info, *(part for part in one.infos if part.kind is not m.PartKind.HEADER))
        contents = {sha256(header): header, **{p.sha256: one.contents[p.sha256] for p in infos[1:]}}
        return Parted(
            one.study_uid, one.file, msgspec.structs.replace(one.instance, header=info.sha256), infos, contents
        )

    series = [shared(one) for one in pictures]
    for one in series:
        unit.announce(one)
    unit.send_part(header)
    for one in series:
        unit.send_part(one.pixels)
    entries = unit.wait_for_entries(6)
    assert {unit.receipt(entry.receipt).sop_instance_uid for entry in entries} == {one.uid for one in series}
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5, 6]


def test_same_uid_with_another_digest_is_another_instance_and_a_conflict(unit: Unit, tmp_path: Path) -> None:
    picture = noisy_picture(20_000, 80)
    first = part_up(file_of(picture), tmp_path / "first")
    unit.send(first)
    unit.wait_for_entries(1)
    picture.PatientID = "SOMEBODY ELSE"
    second = part_up(file_of(picture), tmp_path / "second")
    assert (second.uid, second.instance.sha256) != (first.uid, first.instance.sha256)
    unit.send(second)
    refusal = unit.wait_for_entries(2)[1]
    assert (refusal.kind, refusal.code, refusal.sha256) == ("refusal", "digest-mismatch", second.instance.sha256)
    assert "under this picture's identifier" in refusal.text
    answer = unit.announce(second).instances[second.uid]
    assert (answer.state, answer.problem_code) == (m.InstanceState.REFUSED, "digest-mismatch")
    assert unit.announce(first).instances[first.uid].state is m.InstanceState.VERIFIED


def test_manifest_may_be_packed_and_so_may_its_answer(unit: Unit, tmp_path: Path) -> None:
    pictures = [picture_in_parts(tmp_path / str(i), size_bytes=2_000, seed=90 + i) for i in range(4)]
    manifest = m.Manifest(
        revision=1,
        instances=tuple(one.instance for one in pictures),
        parts=tuple(info for one in pictures for info in one.infos),
    )
    packed = zstandard.compress(msgspec.json.encode(manifest))
    headers = {**unit.auth, "Content-Encoding": "zstd", "Accept-Encoding": "zstd"}
    with unit.http.stream("PUT", f"/v1/studies/{STUDY}/manifest", content=packed, headers=headers) as answer:
        body = b"".join(answer.iter_raw())
    assert answer.headers["Content-Encoding"] == "zstd"
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body)).read()
    assert len(msgspec.json.decode(plain, type=m.ManifestAnswer).instances) == 4


@pytest.mark.parametrize(
    "damage",
    [
        {"header": "nonsense"},
        {"pixels": "A" * 64},
        {"preview": "../../etc/passwd"},
        {"series_instance_uid": ".."},
        {"sop_instance_uid": "."},
    ],
)
def test_instance_with_impossible_names_is_refused(unit: Unit, tmp_path: Path, damage: dict[str, str]) -> None:
    instance = msgspec.structs.replace(picture_in_parts(tmp_path, seed=95).instance, **damage)
    answer = put(unit, STUDY, m.Manifest(revision=1, instances=(instance,)))
    assert answer.status_code == 400
    assert problem(answer)["type"].endswith(":bad-request")


@pytest.mark.parametrize("study", ["..", "1.2%2f3", "abc", "1" * 65, "1.2;x"])
@pytest.mark.fault(62)
def test_study_with_an_impossible_uid_is_not_found(unit: Unit, study: str) -> None:
    answer = unit.http.request(
        "PUT", f"/v1/studies/{study}/manifest", content=msgspec.json.encode(m.Manifest(revision=1)), headers=unit.auth
    )
    assert answer.status_code == 404


def test_manifest_that_names_something_twice_is_refused(unit: Unit, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, seed=96)
    for manifest in (
        m.Manifest(revision=1, instances=(picture.instance, picture.instance)),
        m.Manifest(revision=1, parts=(picture.infos[0], picture.infos[0])),
    ):
        assert "twice" in problem(put(unit, STUDY, manifest))["detail"]


def test_wrong_size_of_a_part_that_another_unit_named_first_does_no_harm(
    unit: Unit, other: Unit, tmp_path: Path
) -> None:
    picture = picture_in_parts(tmp_path, seed=97)
    false = tuple(msgspec.structs.replace(info, size_bytes=3) for info in picture.infos)
    assert put(other, STUDY, m.Manifest(revision=1, parts=false)).status_code == 200
    for info in false:
        assert other.append(info.sha256, b"xyz", complete=True).status_code == 460
    unit.send(picture)
    assert unit.wait_for_entries(1)[0].kind == m.InboxKind.RECEIPT


def test_file_of_another_study_than_the_manifest_says_is_refused(unit: Unit, pacs: Pacs, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, seed=98)
    elsewhere = dataclasses.replace(picture, study_uid="2.25.999")
    unit.send(elsewhere)
    (entry,) = unit.wait_for_entries(1)
    assert (entry.kind, entry.code) == ("refusal", "identity-mismatch")
    assert picture.uid not in pacs.held


def test_parts_that_do_not_make_the_file_are_refused_until_others_are_named(
    unit: Unit, pacs: Pacs, tmp_path: Path
) -> None:
    right, wrong = picture_in_parts(tmp_path / "a", seed=99), picture_in_parts(tmp_path / "b", seed=100)
    mixed = dataclasses.replace(
        right,
        instance=msgspec.structs.replace(right.instance, pixels=wrong.instance.pixels),
        infos=(right.infos[0], wrong.infos[1]),
        contents={right.instance.header: right.header, wrong.instance.pixels: wrong.pixels},
    )
    unit.send(mixed)
    (entry,) = unit.wait_for_entries(1)
    assert (entry.kind, entry.code) == ("refusal", "parts-unfit")
    assert right.uid not in pacs.held
    unit.send(right)
    assert unit.wait_for_entries(2)[1].kind == m.InboxKind.RECEIPT
    assert pacs.held[right.uid] == right.file
