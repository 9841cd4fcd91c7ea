"""Decoding and lossless rewriting of pictures, in a process of its own with bounds on time and memory.

Decoders are C libraries fed with data from a network; and numpy should not live in the process that syncs. The parent
calls ``decoded_pixel_sha256`` and ``transcode``; both run this module as ``python -m sync.adapters.codec``.
"""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SECONDS_MAX = 300.0
MEMORY_BYTES_MAX = 3 << 30
NATIVE_BYTES_MAX = (1 << 32) - 2
_COPY_BYTES = 1 << 20
NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))
"""Errors of this unit's disk that pass: no reason to call a person to the picture."""
EXIT_NO_ROOM = 73
"""``EX_CANTCREAT`` of sysexits.h."""


class CodecError(Exception):
    """The picture cannot be decoded or rewritten here; the text says why and holds no value of the file."""


def decoded_pixel_sha256(path: Path) -> str:
    """SHA-256 of all decoded frames, in order, as stored values (no colour conversion, little endian).

    Raises:
        CodecError: If it cannot be decoded within the bounds.
    """
    return _run("digest", str(path))


def transcode(source: Path, target: Path, transfer_syntax_uid: str) -> None:
    """Write ``source`` as uncompressed Part 10 file in Explicit or Implicit VR Little Endian, keeping every UID.

    Raises:
        CodecError: If it cannot be done without loss, or not within the bounds.
        OSError: If the target has no room; that says nothing of the picture.
    """
    _run("transcode", str(source), str(target), transfer_syntax_uid)


def _run(*arguments: str) -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sync.adapters.codec", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CodecError("decoding took too long") from error
    if done.returncode == EXIT_NO_ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if done.returncode != 0:
        raise CodecError(f"the codec process ended with {done.returncode}")
    return done.stdout.decode("ascii", "replace").strip()


def _digest(path: Path) -> str:
    from pydicom.pixels.utils import iter_pixels

    hashed = hashlib.sha256()
    for frame in iter_pixels(path, raw=True):
        hashed.update(frame.astype(frame.dtype.newbyteorder("<"), copy=False).tobytes())
    return hashed.hexdigest()


def _transcode(source: Path, target: Path, transfer_syntax_uid: str) -> None:
    from pydicom import dcmread
    from pydicom.uid import UID

    dataset = dcmread(source, stop_before_pixels=True)
    stored_uid = dataset.file_meta.TransferSyntaxUID
    pixels = _pixel_element(source)
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    frames: Iterator[bytes] = iter(())
    length_bytes = 0
    if pixels is not None and stored_uid.is_compressed:
        frames, length_bytes = _decoded(source, dataset)
    elif pixels is not None:
        frames, length_bytes = iter((pixels,)), len(pixels)
    if length_bytes > NATIVE_BYTES_MAX:
        raise CodecError("too large for an uncompressed transfer syntax")
    dataset.save_as(target, enforce_file_format=True, implicit_vr=dataset.file_meta.TransferSyntaxUID.is_implicit_VR)
    if pixels is not None:
        _append_pixels(target, dataset, frames, length_bytes)


def _pixel_element(source: Path) -> bytes | None:
    """The value of Pixel Data in little endian; ``b""`` where it is encapsulated, ``None`` where there is none."""
    from pydicom import dcmread

    dataset = dcmread(source, specific_tags=["PixelData", "BitsAllocated"])
    if "PixelData" not in dataset:
        return None
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        return b""
    value = bytes(dataset.PixelData)
    if dataset.file_meta.TransferSyntaxUID.is_little_endian or dataset["PixelData"].VR != "OW":
        return value
    turned = bytearray(len(value))
    turned[0::2], turned[1::2] = value[1::2], value[0::2]
    return bytes(turned)


def _decoded(source: Path, dataset: Dataset) -> tuple[Iterator[bytes], int]:
    """Frames of a compressed file, and the pixel module of ``dataset`` as it must be for them."""
    from pydicom import dcmread
    from pydicom.pixels.decoders.base import get_decoder

    stored = dcmread(source)
    decoder = get_decoder(stored.file_meta.TransferSyntaxUID)
    frame, properties = decoder.as_array(stored, raw=True, index=0)
    count = int(stored.get("NumberOfFrames") or 1)
    photometric = properties["photometric_interpretation"]
    # The decoder gives every pixel its own chroma; only the name still says that two share one.
    dataset.PhotometricInterpretation = "YBR_FULL" if photometric == "YBR_FULL_422" else photometric
    if dataset.SamplesPerPixel > 1:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = frame.dtype.itemsize * 8

    def frames() -> Iterator[bytes]:
        for decoded, _ in decoder.iter_array(stored, raw=True):
            yield decoded.astype(decoded.dtype.newbyteorder("<"), copy=False).tobytes()

    return frames(), frame.nbytes * count


def _append_pixels(target: Path, dataset: Dataset, frames: Iterator[bytes], length_bytes: int) -> None:
    padded_bytes = length_bytes + length_bytes % 2
    vr = b"OB" if dataset.BitsAllocated <= 8 else b"OW"
    head = b"\xe0\x7f\x10\x00"
    if not dataset.file_meta.TransferSyntaxUID.is_implicit_VR:
        head += vr + b"\0\0"
    with target.open("ab") as file:
        file.write(head + padded_bytes.to_bytes(4, "little"))
        written_bytes = sum(file.write(frame) for frame in frames)
        if written_bytes != length_bytes:
            raise CodecError("the frames have not the size they should have")
        file.write(bytes(padded_bytes - written_bytes))


def main(arguments: list[str]) -> int:
    """Entry of the codec process: ``digest FILE`` or ``transcode FILE TARGET UID``."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    match arguments:
        case ["digest", path]:
            sys.stdout.write(_digest(Path(path)))
        case ["transcode", source, target, uid]:
            try:
                _transcode(Path(source), Path(target), uid)
            except BaseException as error:
                with suppress(OSError):
                    Path(target).unlink()
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    return EXIT_NO_ROOM
                raise
        case _:
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
