"""The header part: skeletons of several instances in one zstd frame, with a dictionary trained on DICOM headers.

``QH1``; the first 8 bytes of the dictionary's SHA-256; count of skeletons; SHA-256 of each original file in ascending
order; size of each skeleton; then one magicless zstd frame of all skeletons one after the other. Equal skeletons give
equal bytes, in whatever order they were handed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import resources

import zstandard

from sync.wire.effort import Effort
from sync.wire.errors import WireError
from sync.wire.limits import DEFAULT_LIMITS, WireLimits
from sync.wire.octets import Octets, varint
from sync.wire.squeeze import compress, decompress

MAGIC = b"QH1"
DICTIONARY_NAME = "headers.zdict"
"""What parts are packed with. A release that trains a better one keeps this one beside it, for parts on their way."""
NAME_BYTES = 8
_DIGEST_BYTES = 32
_SHA256 = re.compile(r"[0-9a-f]{64}")


@cache
def _dictionaries() -> dict[bytes, zstandard.ZstdCompressionDict]:
    """Every dictionary that is shipped, by the name that parts call it."""
    found = {}
    for entry in resources.files("sync.wire").iterdir():
        if entry.name.endswith(".zdict"):
            content = entry.read_bytes()
            found[_name(content)] = zstandard.ZstdCompressionDict(content)
    return found


@cache
def _current() -> bytes:
    return _name((resources.files("sync.wire") / DICTIONARY_NAME).read_bytes())


def _name(dictionary: bytes) -> bytes:
    return sha256(dictionary).digest()[:NAME_BYTES]


def pack(skeletons: Mapping[str, bytes], effort: Effort) -> bytes:
    """One header part.

    Args:
        skeletons: By the lower-case hexadecimal SHA-256 of the original file.
        effort: Its zstd level.

    Raises:
        ValueError: If there is none, or a key is no SHA-256.
    """
    if not skeletons or not all(_SHA256.fullmatch(key) for key in skeletons):
        raise ValueError("a header part holds at least one skeleton, by SHA-256")
    ordered = sorted(skeletons.items())
    name = _current()
    return b"".join(
        (
            MAGIC,
            name,
            varint(len(ordered)),
            *(bytes.fromhex(key) for key, _ in ordered),
            *(varint(len(skeleton)) for _, skeleton in ordered),
            compress(b"".join(skeleton for _, skeleton in ordered), effort.zstd, _dictionaries()[name]),
        )
    )


def unpack(part: bytes, limits: WireLimits = DEFAULT_LIMITS) -> dict[str, bytes]:
    """Skeletons by the SHA-256 of their original files, as ``pack`` took them. They are not checked yet.

    Raises:
        WireError: If the part is damaged, names a dictionary that this release does not have, or goes beyond a limit.
    """
    if len(part) > limits.header_part_bytes_max:
        raise WireError(f"a header part has {len(part)} bytes, {limits.header_part_bytes_max} are allowed")
    octets = Octets(part, "header part")
    if octets.left < len(MAGIC) or octets.take(len(MAGIC)) != MAGIC:
        raise WireError("this is no header part of a version known here")
    name = bytes(octets.take(NAME_BYTES))
    dictionary = _dictionaries().get(name)
    if dictionary is None:
        raise WireError(f"a header part needs the dictionary {name.hex()}, which this release does not have; update it")
    count = octets.varint(limits.skeleton_count_max)
    digests = [bytes(octets.take(_DIGEST_BYTES)).hex() for _ in range(count)]
    if not digests or digests != sorted(set(digests)):
        raise WireError("a header part names its files out of order")
    sizes = [octets.varint(limits.skeleton_bytes_max) for _ in range(count)]
    frame = octets.rest()
    size_bytes = sum(sizes)
    if size_bytes > min(limits.header_part_unpacked_bytes_max, limits.header_ratio_max * len(part)):
        raise WireError(
            f"a header part of {len(part)} bytes declares {size_bytes} bytes unpacked, more than is allowed"
        )
    unpacked = memoryview(decompress(frame, size_bytes, limits.zstd_window_bytes_max, dictionary))
    skeletons, start = {}, 0
    for digest, size in zip(digests, sizes, strict=True):
        skeletons[digest] = bytes(unpacked[start : start + size])
        start += size
    return skeletons
