"""Damaged and hostile objects at the door: refused, set aside, told; the association goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.support import rawdicom
from tests.support.gatekeepers import PATIENT, GatekeeperProcess, StandIn, running_gatekeeper
from tests.support.rawdicom import ABORT, CR_STORAGE, EXPLICIT, RawModality, associate_rq, deflate, image
from tests.support.world import wait_for


@pytest.mark.fault(28)
@pytest.mark.parametrize("size", [1_000, 2_500_000])
def test_truncated_object_is_refused_quarantined_and_visible(
    gate: GatekeeperProcess, orthanc: StandIn, size: int
) -> None:
    uid = f"1.2.28.{size}"
    cut_off = image(uid, size)[:-77]
    before, aborted = set(gate.quarantined()), orthanc.abort_count
    with RawModality(gate.port) as modality:
        modality.associate()

        assert modality.store(uid, cut_off) == 0xC000
        assert modality.store("1.2.2", image("1.2.2"), message_id=2) == 0, "the association did not go on"
        assert modality.release() == rawdicom.RELEASE_RP

    assert orthanc.stored == {"1.2.2": image("1.2.2")}
    assert orthanc.abort_count == aborted + 1, "Orthanc was left with half an object"
    (path,) = set(gate.quarantined()) - before
    assert path.read_bytes().endswith(cut_off)
    label = json.loads(path.with_suffix(".json").read_text())
    assert (label["code"], label["calling_ae_title"], label["sop_instance_uid"]) == ("object-truncated", "XRAY1", uid)
    assert label["transfer_syntax_uid"] == EXPLICIT
    kept = dcmread(path, stop_before_pixels=True)
    assert (kept.file_meta.MediaStorageSOPInstanceUID, kept.Modality) == (uid, "CR")
    gate.wait_refused("object-truncated")
    assert any("cut off" in row["sentence"] for row in gate.facts()["recent"])
    wait_for(lambda: gate.findings(uid), "the finding")
    ((kind, severity, sentence),) = gate.findings(uid)
    assert (kind, severity) == ("door-object-truncated", "warning")
    assert "XRAY1" in sentence
    assert uid not in sentence


@pytest.mark.fault(28)
def test_damaged_object_sent_before_others_are_answered_aborts(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    """An answer of ours could come between fragments of Orthanc's."""
    orthanc.before_answer.clear()
    try:
        with RawModality(gate.port) as modality:
            modality.associate()
            modality.begin_store("1.2.1", message_id=1)
            modality.send(rawdicom.data_tf(1, 2, image("1.2.1")))
            modality.begin_store("1.2.2", message_id=2)
            modality.send(rawdicom.data_tf(1, 2, image("1.2.2")[:-1]))

            assert modality.receive()[0] == ABORT
    finally:
        orthanc.before_answer.set()


@pytest.mark.fault(28)
def test_same_damaged_object_sent_again_fills_one_file(gate: GatekeeperProcess) -> None:
    with RawModality(gate.port) as modality:
        modality.associate()
        assert modality.store("1.2.29", image("1.2.29")[:-1]) == 0xC000
        count = len(gate.quarantined())

        assert modality.store("1.2.29", image("1.2.29")[:-1], message_id=2) == 0xC000

    assert len(gate.quarantined()) == count


@pytest.mark.fault(62)
def test_uid_that_climbs_out_of_the_folder_names_no_file(gate: GatekeeperProcess) -> None:
    before = set(gate.quarantined())
    with RawModality(gate.port) as modality:
        modality.associate()
        assert modality.store("../../../../tmp/evil", image("1.2.62", 600)[:-1]) == 0xC000

    (path,) = set(gate.quarantined()) - before
    assert json.loads(path.with_suffix(".json").read_text())["sop_instance_uid"] == ""
    assert path.name.removeprefix("gate-").removesuffix(".dcm").isalnum()


@pytest.mark.fault(61)
@pytest.mark.parametrize(
    ("between", "code"),
    [
        (rawdicom.nested(40), "sequence-depth"),
        (rawdicom.nested(20_000), "sequence-depth"),
        (rawdicom.nested(40, defined=True), "sequence-depth"),
        (rawdicom.element(8, 0x100, b"SH", b"") * 6_000, "element-count"),
        (rawdicom.ITEM_END, "object-malformed"),
    ],
    ids=["nested 40", "nested 20000", "nested defined", "elements", "stray delimiter"],
)
def test_bomb_is_refused_and_the_next_object_stored(
    gate: GatekeeperProcess, orthanc: StandIn, between: bytes, code: str
) -> None:
    count = gate.facts()["refused"].get(code, 0)
    with RawModality(gate.port) as modality:
        modality.associate()

        assert modality.store("1.2.61", image("1.2.61", between=between)) == 0xC000
        assert modality.store("1.2.2", image("1.2.2"), message_id=2) == 0

    gate.wait_refused(code, count + 1)
    assert list(orthanc.stored) == ["1.2.2"]


@pytest.mark.fault(61)
def test_deflate_bomb_is_refused_and_the_next_object_stored(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    bomb = deflate(rawdicom.long_element(0x7FE0, 0x0010, b"OB", bytes(40 << 20)))
    with RawModality(gate.port) as modality:
        modality.associate(associate_rq(contexts=((1, CR_STORAGE, (rawdicom.DEFLATED,)),)))

        assert modality.store("1.2.61", bomb) == 0xC000
        assert modality.store("1.2.2", deflate(image("1.2.2")), message_id=2) == 0

    assert list(orthanc.stored) == ["1.2.2"]


def test_object_beyond_its_limit_is_aborted(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    with RawModality(gate.port) as modality:
        modality.associate()
        modality.begin_store("1.2.1")
        endless = rawdicom.data_tf(1, 0, bytes(100_000))
        try:
            for _ in range(40):
                modality.send(endless)
        except OSError:
            return
        assert modality.receive()[0] == ABORT

    gate.wait_refused("object-too-large")
    assert not orthanc.stored


def test_object_without_room_is_refused_as_out_of_resources(orthanc: StandIn, tmp_path: Path) -> None:
    with running_gatekeeper(tmp_path, orthanc.port, {**PATIENT, "object_share_of_free_space_max": 1e-9}) as gatekeeper:
        with RawModality(gatekeeper.port) as modality:
            modality.associate()

            assert modality.store("1.2.70", image("1.2.70")) == 0xA700

        gatekeeper.wait_refused("no-room")
        assert not gatekeeper.quarantined()
    assert "1.2.70" not in orthanc.stored


def test_damaged_object_on_a_full_disk_is_refused_without_a_copy(orthanc: StandIn, tmp_path: Path) -> None:
    limits = {**PATIENT, "free_bytes_floor": 1 << 60, "object_share_of_free_space_max": 1.0}
    with running_gatekeeper(tmp_path, orthanc.port, limits) as gatekeeper, RawModality(gatekeeper.port) as modality:
        modality.associate()

        assert modality.store("1.2.71", image("1.2.71")[:-1]) == 0xC000
        assert modality.store("1.2.72", image("1.2.72"), message_id=2) == 0

        assert not gatekeeper.quarantined()
