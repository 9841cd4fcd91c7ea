"""Every kind of file, and every way to hand over, with real Orthancs: what arrives there is what the unit stored."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from appliance.dicom.phantom import phantom_chest
from central.gateway.objects import Objects
from central.gateway.previews import preview_bytes, previews_of
from central.store.opening import open_database
from tests.gateway.rig import Gateway, Pacs, Unit, file_of, make_gateway, part_up, picture_in_parts, running_gateway
from tests.support.files import sample_files
from tests.support.orthancs import OrthancHandle, orthanc_commands
from tests.support.pacs import OUR_AE_TITLE, start_central, stored_file
from tests.support.ports import free_port


@pytest.fixture(scope="module", params=orthanc_commands())
def orthanc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancHandle]:
    listener_port = free_port()
    with start_central(str(request.param), tmp_path_factory.mktemp("orthanc"), listener_port) as started:
        started.listener_port = listener_port  # type: ignore[attr-defined]  # where it sends its commitment reports
        yield started


def same_data_set(orthanc: OrthancHandle, file: bytes) -> bool:
    """By pydicom alone: the same elements, pixels included."""
    ours = dcmread(io.BytesIO(file))
    theirs = stored_file(orthanc, str(ours.SOPInstanceUID))
    return theirs is not None and bool(dcmread(io.BytesIO(theirs)) == ours)


@pytest.mark.orthanc
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's opinion of real files
def test_every_sample_file_arrives_as_it_was_stored(orthanc: OrthancHandle, tmp_path: Path) -> None:
    with (
        running_gateway(tmp_path / "g", f"{orthanc.url}/dicom-web") as gateway,
        Unit(gateway.url, "samples") as unit,
    ):
        unit.join(gateway)
        files = {sample.name: sample.path.read_bytes() for sample in sample_files()}
        files["phantom"] = file_of(phantom_chest(3000, 2500, 14, 1))
        parted = {name: part_up(content, tmp_path / name) for name, content in files.items()}
        first_of_uid = {one.uid: name for name, one in reversed(parted.items())}
        # Two samples are different pictures of one SOP Instance UID; that is a conflict and not this test's business.
        parted = {name: one for name, one in parted.items() if first_of_uid[one.uid] == name}
        for one in parted.values():
            unit.send(one)
        entries = {entry.sha256: entry for entry in unit.wait_for_entries(len(parted))}
        for name, one in parted.items():
            entry = entries[one.instance.sha256]
            assert entry.kind == "receipt", f"{name}: {entry.code} {entry.text}"
            assert unit.receipt(entry.receipt).size_bytes == len(one.file)
            assert same_data_set(orthanc, one.file), name


@pytest.mark.orthanc
@pytest.mark.parametrize("proof", ["commitment", "wado"])
def test_pacs_that_speaks_c_store_is_handed_over_to(orthanc: OrthancHandle, tmp_path: Path, proof: str) -> None:
    gateway = make_gateway(tmp_path / "g", "")
    text = gateway.toml.read_text()
    listener_port = orthanc.listener_port  # type: ignore[attr-defined]  # see the fixture
    gateway.toml.write_text(
        text[: text.index("[handover]")]
        + f'[handover]\nkind = "dimse"\nname = "dimse-pacs"\nhost = "127.0.0.1"\nport = {orthanc.dicom_port}\n'
        f'called_ae_title = "{orthanc.ae_title}"\ncalling_ae_title = "{OUR_AE_TITLE}"\n'
        f'proof = "{proof}"\ncommitment_port = {listener_port}\nwado_url = "{orthanc.url}/dicom-web"\n'
    )
    gateway.start()
    try:
        with Unit(gateway.url, "van") as unit:
            unit.join(gateway)
            pictures = [picture_in_parts(tmp_path / str(i), 50_000, 5000 + i + len(proof)) for i in range(3)]
            for picture in pictures:
                unit.send(picture)
            for entry in unit.wait_for_entries(3):
                receipt = unit.receipt(entry.receipt)
                assert (receipt.method, receipt.pacs) == (proof, "dimse-pacs")
            assert all(same_data_set(orthanc, picture.file) for picture in pictures)
            assert {result.state for result in unit.check(*pictures).items.values()} == {"verified"}
    finally:
        gateway.stop()


def test_preview_can_be_read_before_the_pixels_are_here(
    gateway: Gateway, pacs: Pacs, unit: Unit, tmp_path: Path
) -> None:
    picture = picture_in_parts(tmp_path, 50_000, 5100)
    unit.announce(picture)
    database = open_database(gateway.config)
    try:
        with database.read() as connection:
            assert previews_of(connection, picture.study_uid) == []
        unit.send_part(picture.preview)
        with database.read() as connection:
            (ref,) = previews_of(connection, picture.study_uid)
        assert (ref.sop_instance_uid, ref.sha256) == (picture.uid, picture.instance.preview)
        content = asyncio.run(preview_bytes(database, Objects(gateway.config.parts_url), ref))
        assert content == picture.preview
    finally:
        database.close()
