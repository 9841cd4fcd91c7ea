"""Makes what an update travels as from mkosi's files, and signs it.

usage: release.py OUT VERSION IMAGE PRIVATE_KEY     (OUT/qafila_VERSION.*; the release goes to OUT/release-VERSION)
"""

from __future__ import annotations

import hashlib
import re
import shutil
import struct
import sys
import uuid
from pathlib import Path

import msgspec
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from appliance.update.release import LIST, SIGNATURE, Release, ReleaseFile

_CHUNK_BYTES = 4 * 1024**2
_VERITY = struct.Struct("<8s56xI4xQ")
"""Of the hash tree's head: signature, size and number of data blocks."""


def root_hash(kernel_image: Path) -> str:
    """The root hash that stands in the command line of a unified kernel image."""
    found: set[bytes] = set(re.findall(rb"roothash=([0-9a-f]{64})", kernel_image.read_bytes()))
    if len(found) != 1:
        raise SystemExit(f"{kernel_image} names {len(found)} root hashes")
    return found.pop().decode("ascii")


def covered_bytes(tree: Path) -> int:
    """How much of its root a hash tree covers: the file system. Behind it the slot is empty, and need not travel."""
    with tree.open("rb") as opened:
        signature, block_bytes, block_count = _VERITY.unpack(opened.read(_VERITY.size))
    if signature != b"verity\0\0":
        raise SystemExit(f"{tree} is no hash tree")
    return int(block_bytes * block_count)


def pack(source: Path, target: Path, name: str, size_bytes_max: int) -> ReleaseFile:
    """Compress the first bytes of one file; what is signed is the file, not its compressed form."""
    digest, size_bytes = hashlib.sha256(), 0
    with (
        source.open("rb") as opened,
        target.open("wb") as written,
        zstandard.ZstdCompressor(level=9, threads=2).stream_writer(written) as writer,
    ):
        while piece := opened.read(min(_CHUNK_BYTES, size_bytes_max - size_bytes)):
            digest.update(piece)
            size_bytes += len(piece)
            writer.write(piece)
    return ReleaseFile(name=name, sha256=digest.hexdigest(), size_bytes=size_bytes)


def main(out: Path, version: str, image: str, key_file: Path) -> None:
    """Write the release folder; an older one of the same version is replaced."""
    folder = out / f"release-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    kernel = out / f"qafila_{version}.efi"
    digest = root_hash(kernel)
    # Root and hash tree are found by these two halves (the Discoverable Partitions Specification).
    halves = {"root": uuid.UUID(digest[:32]), "verity": uuid.UUID(digest[32:])}
    sources = {
        f"qafila_{version}_{half}.{kind}.raw": out / f"qafila_{version}.{kind}.raw" for kind, half in halves.items()
    }
    sources[kernel.name] = kernel
    needed_bytes = {name: source.stat().st_size for name, source in sources.items()}
    needed_bytes[f"qafila_{version}_{halves['root']}.root.raw"] = covered_bytes(out / f"qafila_{version}.verity.raw")
    files = tuple(pack(source, folder / f"{name}.zst", name, needed_bytes[name]) for name, source in sources.items())
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise SystemExit(f"{key_file} is no Ed25519 key")
    text = msgspec.json.encode(Release(image=image, version=int(version), files=files))
    (folder / LIST).write_bytes(text)
    (folder / SIGNATURE).write_bytes(key.sign(text))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
