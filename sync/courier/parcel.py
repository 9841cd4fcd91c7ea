"""A parcel: a head with manifests, then slices of parts, encrypted as one age file; pure.

A parcel is self-sufficient: whatever else is lost of a stick, what it brings can be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from sync.courier.errors import FormatError
from sync.courier.limits import CourierLimits
from sync.courier.messages import ParcelHead, Slice
from sync.courier.sealing import seal, unseal

MAGIC = b"qafila parcel 1\n"
_LENGTH_BYTES = 4
_head_decoder = msgspec.json.Decoder(ParcelHead)


@dataclass(frozen=True, slots=True)
class OpenParcel:
    """A parcel that was opened: checked to be consistent in itself, and nothing more."""

    head: ParcelHead
    content: memoryview
    """The slices' octets, one after the other."""

    def slices(self) -> Iterator[tuple[Slice, memoryview]]:
        """Each slice with its octets."""
        start = 0
        for piece in self.head.slices:
            yield piece, self.content[start : start + piece.size_bytes]
            start += piece.size_bytes


def parcel_name(number: int) -> str:
    """The file's name in the parcels' folder; ``number`` is 1 to 999,999."""
    if not 1 <= number <= 999_999:
        raise ValueError(f"no parcel has the number {number}")
    return f"{number:06d}.age"


def close_parcel(head: ParcelHead, content: Sequence[bytes], recipients: Sequence[str]) -> bytes:
    """The encrypted file.

    Args:
        head: Says what is in it.
        content: The octets of each of ``head.slices``, in their order.
        recipients: age recipients; at least one.

    Raises:
        ValueError: If content and head differ, or a recipient is none.
    """
    if [len(octets) for octets in content] != [piece.size_bytes for piece in head.slices]:
        raise ValueError("a parcel's head does not describe its content")
    said = msgspec.json.encode(head)
    return seal(b"".join((MAGIC, len(said).to_bytes(_LENGTH_BYTES, "big"), said, *content)), recipients)


def open_parcel(sealed: bytes, secret: str, limits: CourierLimits) -> OpenParcel:
    """Decrypt and take apart.

    Raises:
        NotForUs: If it is encrypted to another key.
        FormatError: If it is damaged, hostile or beyond a limit.
        ValueError: If ``secret`` is no age identity.
    """
    if len(sealed) > limits.parcel_file_bytes_max:
        raise FormatError(f"it is larger than the {limits.parcel_file_bytes_max} bytes that a parcel may have")
    plain = unseal(sealed, secret)
    if not plain.startswith(MAGIC):
        raise FormatError("it is no parcel of a format that this release knows")
    start = len(MAGIC) + _LENGTH_BYTES
    head_bytes = int.from_bytes(plain[len(MAGIC) : start], "big")
    if head_bytes > limits.parcel_head_bytes_max or start + head_bytes > len(plain):
        raise FormatError("its head is longer than a head may be")
    try:
        head = _head_decoder.decode(memoryview(plain)[start : start + head_bytes])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError("its head cannot be read") from error
    content = memoryview(plain)[start + head_bytes :]
    if sum(piece.size_bytes for piece in head.slices) != len(content):
        raise FormatError("its head does not describe its content")
    if any(piece.offset + piece.size_bytes > piece.part_bytes for piece in head.slices):
        raise FormatError("a slice goes beyond its part")
    return OpenParcel(head, content)
