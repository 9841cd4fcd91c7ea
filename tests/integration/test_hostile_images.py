"""Images whose header points outside their pixels: kept and delivered as they are, and decoded nowhere but apart."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID, RLELossless, generate_uid

from sync.adapters.codec import CodecError, decoded_pixel_sha256
from tests.support.doors import dcmsend, make_image
from tests.support.orthancs import orthanc_commands
from tests.support.promises import centre_faults, kept_faults, settled
from tests.support.world import Modality, dicomweb_destination, make_unit, running_centre, wait_for

SYNTAXES = ("1.2.840.10008.1.2.1", str(RLELossless))


def outside(path: Path, transfer_syntax_uid: str) -> Path:
    """65,535 squared pixels and two thousand million frames of them, said of four bytes."""
    dataset = pydicom.dcmread(make_image(path, uid=str(generate_uid()), side=2))
    dataset.Rows = dataset.Columns = 65_535
    dataset.NumberOfFrames = 2_000_000_000
    dataset.PixelData = b"\xff" * 4
    if transfer_syntax_uid == RLELossless:
        # The RLE header names segments that begin far behind the end.
        dataset.PixelData = encapsulate([b"\x0f\0\0\0" + b"\xf0\xff\xff\x7f" * 15])
        dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    dataset.save_as(path)
    return path


@pytest.mark.fault(61)
@pytest.mark.parametrize("transfer_syntax_uid", SYNTAXES, ids=["native", "rle"])
def test_image_that_points_outside_its_pixels_costs_the_decoder_its_process_only(
    transfer_syntax_uid: str, tmp_path: Path
) -> None:
    with pytest.raises(CodecError):
        decoded_pixel_sha256(outside(tmp_path / "outside.dcm", transfer_syntax_uid))


@pytest.mark.orthanc
@pytest.mark.fault(61)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("orthanc", orthanc_commands(), ids=lambda command: Path(command).name)
def test_images_that_point_outside_their_pixels_are_delivered_as_sent_and_reception_goes_on(
    orthanc: str, tmp_path: Path
) -> None:
    with running_centre(tmp_path / "centre", orthanc) as centre:
        unit = make_unit(tmp_path / "unit", orthanc, dicomweb_destination(centre.dicomweb_url))
        unit.start()
        try:
            before = unit.child_pids()
            hostile = [outside(tmp_path / f"{number}.dcm", uid) for number, uid in enumerate(SYNTAXES)]
            sent = dcmsend(unit.config.dicom.port, hostile, calling="XRAY")
            assert sent.statuses == [0, 0], sent.text
            modality = Modality(unit.config.dicom.port)
            assert len(modality.send(2)) == 2
            wait_for(lambda: settled(unit, modality.told) and len(unit.confirmed_uids()) == 4, "delivery of all")
            for path in hostile:
                ours = pydicom.dcmread(path)
                theirs = pydicom.dcmread(pydicom.filebase.DicomBytesIO(centre.file(str(ours.SOPInstanceUID))))
                assert (theirs.Rows, theirs.NumberOfFrames, theirs.PixelData) == (
                    ours.Rows,
                    ours.NumberOfFrames,
                    ours.PixelData,
                )
            assert kept_faults(unit, modality.told) + centre_faults(centre, modality.told) == []
            assert unit.child_pids() == before
        finally:
            unit.stop()
