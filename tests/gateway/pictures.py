"""Pictures in parts, as a unit would make them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from sync.wire import messages as m
from sync.wire.encode import FAST, encode
from sync.wire.headers import pack
from tests.support.world import small_picture


@dataclass(frozen=True)
class Parted:
    """One instance in parts."""

    study_uid: str
    file: bytes
    instance: m.InstanceInfo
    infos: tuple[m.PartInfo, ...]
    contents: dict[str, bytes]

    @property
    def uid(self) -> str:
        return self.instance.sop_instance_uid

    @property
    def header(self) -> bytes:
        return self.contents[self.instance.header]

    @property
    def pixels(self) -> bytes:
        return self.contents[self.instance.pixels]

    @property
    def preview(self) -> bytes:
        return self.contents[self.instance.preview]


def noisy_picture(size_bytes: int, seed: int) -> Dataset:
    """A picture whose pixel part has about this size: noise does not get smaller."""
    picture = small_picture(256, 0)
    rows = max(1, size_bytes // 256)
    picture.Rows, picture.Columns = rows, 256
    noise = np.random.default_rng(seed).integers(0, 256, rows * 256, dtype=np.uint8)
    picture.PixelData = noise.tobytes()
    picture.SOPInstanceUID = generate_uid(entropy_srcs=["gateway", str(seed), str(size_bytes)])
    picture.StudyInstanceUID = generate_uid(entropy_srcs=["gateway study", str(seed)])
    picture.file_meta.MediaStorageSOPInstanceUID = picture.SOPInstanceUID
    picture.file_meta.MediaStorageSOPClassUID = picture.SOPClassUID
    return picture


def file_of(picture: Dataset) -> bytes:
    """Its Part 10 file."""
    out = io.BytesIO()
    picture.save_as(out, enforce_file_format=True)
    return out.getvalue()


def part_up(file: bytes, folder: Path, *, preview: bytes = b"a preview") -> Parted:
    """A file in parts, as a unit would make them."""
    folder.mkdir(parents=True, exist_ok=True)
    path, pixels_path = folder / "file.dcm", folder / "pixels.part"
    path.write_bytes(file)
    encoded = encode(path, pixels_path, FAST)
    header = pack({encoded.sha256: encoded.skeleton}, FAST)
    seen = dcmread(io.BytesIO(file), stop_before_pixels=True)
    contents = {sha256(header): header}
    infos = [m.PartInfo(sha256=sha256(header), size_bytes=len(header), kind=m.PartKind.HEADER)]
    if encoded.pixels_sha256:
        contents[encoded.pixels_sha256] = pixels_path.read_bytes()
        infos.append(
            m.PartInfo(
                sha256=encoded.pixels_sha256,
                size_bytes=encoded.pixels_bytes,
                kind=m.PartKind.PIXELS,
                restores_sha256=encoded.restores_sha256,
                restores_bytes=encoded.restores_bytes,
            )
        )
    if preview:
        contents[sha256(preview)] = preview
        infos.append(m.PartInfo(sha256=sha256(preview), size_bytes=len(preview), kind=m.PartKind.PREVIEW))
    instance = m.InstanceInfo(
        sop_instance_uid=str(seen.SOPInstanceUID),
        sop_class_uid=str(seen.SOPClassUID),
        series_instance_uid=str(seen.SeriesInstanceUID),
        transfer_syntax_uid=str(seen.file_meta.TransferSyntaxUID),
        sha256=encoded.sha256,
        size_bytes=len(file),
        header=sha256(header),
        pixels=encoded.pixels_sha256,
        no_pixels=not encoded.pixels_sha256,
        preview=sha256(preview) if preview else "",
    )
    return Parted(str(seen.StudyInstanceUID), file, instance, tuple(infos), contents)


def picture_in_parts(folder: Path, size_bytes: int = 60_000, seed: int = 1) -> Parted:
    """A noisy picture in parts."""
    return part_up(file_of(noisy_picture(size_bytes, seed)), folder, preview=f"preview {seed}".encode())


def sha256(data: bytes) -> str:
    """The name of a part."""
    return hashlib.sha256(data).hexdigest()
