"""What is sent: payload S (two chest films, an ultrasound still), L (objects larger than an up-window), a queue.

Files are made once into a folder and used again. Everything generated follows from seeds; real images are taken from
the shared test data when they are there, and otherwise replaced by phantoms and pydicom's own ultrasound.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pydicom.examples
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from appliance.dicom.phantom import phantom_chest
from tests.support.files import data_dir

LOOP_BYTES = 40_000_000
LOOP_SCALE = 3
LOOP_QUALITY = 85
_Pixels = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One object to deliver.

    Attributes:
        path: Its Part 10 file as the modality has it.
        pixel_sha256: Of its decoded pixels, so that a losslessly transcoded copy counts as equal.
    """

    path: Path
    sop_instance_uid: str
    study_instance_uid: str
    pixel_sha256: str

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size


@dataclasses.dataclass(frozen=True, slots=True)
class Payload:
    """Objects to deliver, in the order in which they are offered."""

    name: str
    items: tuple[Item, ...]

    @property
    def size_bytes(self) -> int:
        return sum(item.size_bytes for item in self.items)

    @property
    def paths(self) -> list[Path]:
        return [item.path for item in self.items]

    @property
    def study_uids(self) -> list[str]:
        """Each study once, in order."""
        return list(dict.fromkeys(item.study_instance_uid for item in self.items))

    def without_largest(self) -> Payload:
        """The same without its largest object."""
        largest = max(self.items, key=lambda item: item.size_bytes)
        return Payload(f"{self.name}-", tuple(item for item in self.items if item is not largest))


def payload_s(folder: Path) -> Payload:
    """Two chest films and an ultrasound still, native, about 14 MB."""
    data = data_dir()
    if data is not None:
        sources: dict[str, Callable[[], Dataset]] = {
            "film-1": lambda: _read_native(data / "cr_chest_RG3.dcm"),
            "film-2": lambda: _read_native(data / "cr_chest_RG1_j2k_lossy.dcm"),
            "still": lambda: _read_native(data / "us_still_US1.dcm"),
        }
    else:
        sources = {
            "phantom-1": lambda: phantom_chest(1760, 1760, 10, seed=301),
            "phantom-2": lambda: phantom_chest(1955, 1841, 15, seed=302),
            "rgb": lambda: _read_native(Path(pydicom.examples.get_path("rgb_color"))),
        }
    return Payload("S", tuple(_kept(folder, f"s-{name}", make) for name, make in sources.items()))


def payload_l(folder: Path) -> Payload:
    """A 3000 x 2500 phantom full of detector noise, and a JPEG loop of 40 MB."""
    phantom = _kept(folder, "l-phantom", lambda: phantom_chest(seed=311))
    return Payload("L", (phantom, _kept(folder, "l-loop", jpeg_loop)))


def queue_payload(folder: Path, size_bytes: int) -> Payload:
    """Radiographs of 15 MB of many patients, of at least ``size_bytes`` altogether."""
    count = -(-size_bytes // 15_000_000)
    makes = [(number, lambda number=number: phantom_chest(seed=400 + number)) for number in range(count)]
    return Payload("queue", tuple(_kept(folder, f"queue-{number:02}", make) for number, make in makes))


def stat_payload(folder: Path, number: int) -> Payload:
    """One radiograph of 15 MB, of its own study."""
    return Payload("stat", (_kept(folder, f"stat-{number}", lambda: phantom_chest(seed=390 + number)),))


def jpeg_loop(size_bytes: int = LOOP_BYTES, seed: int = 321) -> Dataset:
    """A JPEG baseline ultrasound loop: pydicom's 30 real frames, enlarged, over and over, each with noise of its own.

    Without the noise the repeats would be equal, and anything that finds repeats would win what no real loop gives.
    """
    loop = pydicom.dcmread(pydicom.examples.get_path("ybr_color"))
    frames = [_enlarged(frame) for frame in pydicom.iter_pixels(loop)]
    random = np.random.default_rng(seed)
    coded: list[bytes] = []
    while sum(map(len, coded)) < size_bytes:
        frame = frames[len(coded) % len(frames)]
        speckle = random.normal(0.0, 4.0, frame.shape[:2])[..., np.newaxis]
        noisy = np.clip(frame * (1.0 + speckle / 40.0) + speckle, 0, 255).astype(np.uint8)
        coded.append(bytes(imagecodecs.jpeg8_encode(noisy, level=LOOP_QUALITY, subsampling="422")))
    loop.Rows, loop.Columns = frames[0].shape[:2]
    loop.NumberOfFrames = len(coded)
    loop.PixelData = encapsulate(coded)
    loop.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    key = [f"{size_bytes}/{seed}"]
    loop.StudyInstanceUID = generate_uid(entropy_srcs=["qafila-loop-study", *key])
    loop.SeriesInstanceUID = generate_uid(entropy_srcs=["qafila-loop-series", *key])
    loop.SOPInstanceUID = loop.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["qafila-loop", *key])
    return loop


def decoded_sha256(path: Path) -> str:
    """Digest of the decoded pixels of a file."""
    digest = hashlib.sha256()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values in real headers are not this bench's business
        dataset = pydicom.dcmread(path)
        digest.update(f"{dataset.Rows}x{dataset.Columns}".encode("ascii"))
        for frame in pydicom.iter_pixels(dataset):
            digest.update(np.ascontiguousarray(frame).tobytes())
    return digest.hexdigest()


def _kept(folder: Path, name: str, make: Callable[[], Dataset]) -> Item:
    path = folder / f"{name}.dcm"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        make().save_as(part, enforce_file_format=True)
        part.replace(path)
    header = pydicom.dcmread(path, stop_before_pixels=True)
    return Item(path, str(header.SOPInstanceUID), str(header.StudyInstanceUID), decoded_sha256(path))


def _read_native(path: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        if dataset.file_meta.TransferSyntaxUID.is_compressed:
            dataset.decompress(generate_instance_uid=False)
    if dataset.file_meta.TransferSyntaxUID != ExplicitVRLittleEndian:
        raise ValueError(f"{path} is {dataset.file_meta.TransferSyntaxUID.name}, not native explicit little endian")
    return dataset


def _enlarged(frame: _Pixels) -> NDArray[np.float32]:
    """Three times as large, with the steps between pixels smoothed."""
    large = np.repeat(np.repeat(frame, LOOP_SCALE, axis=0), LOOP_SCALE, axis=1).astype(np.float32)
    for axis in (0, 1):
        large = (np.roll(large, 1, axis) + large + np.roll(large, -1, axis)) / 3.0
    return large
