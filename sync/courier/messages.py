"""What stands on a stick, as frozen values; ``docs/reference/courier-format.md``.

Unknown fields are ignored, because units and centres are updated at different times. Nothing readable without a key
names or derives from a patient, a study or a file: what a unit must recognise on a stick has names keyed with its own
secret, and all else lies in parcels that only the centre can open.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from sync.wire.messages import Count, Inbox, Manifest, Sha256, Text, Uid, UnitId
from sync.wire.notes import StudyNotes

FOLDER = "qafila-courier"
INDEX_NAME = "index.txt"
PARCELS_FOLDER = "parcels"
REPLY_NAME = "reply.age"
README_NAME = "README.txt"
FORMAT = 1

STATEMENT_CONTEXT = b"qafila courier index v1\0"
"""Put before each statement of the index that a unit signs."""
REPLY_CONTEXT = b"qafila courier reply v1\0"
"""Put before what the centre signs when it writes back."""

StickId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
Number = Annotated[int, msgspec.Meta(ge=1, le=999_999)]
Keyed = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16,32}\Z")]
Age = Annotated[str, msgspec.Meta(pattern=r"^age1[0-9a-z]{50,100}\Z")]


class Holding(msgspec.Struct, frozen=True, array_like=True):
    """That a parcel holds one piece of an instance, in the unit's own keyed names."""

    instance: Keyed
    part: Keyed
    """Of the coded pixels: pieces of two different encodings do not add up to one."""
    piece: Count = 0
    piece_count: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)] = 1


class _Statement(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One line of the index. ``stick`` keeps a line of one stick from meaning something on another."""

    stick: StickId


class Begun(_Statement, frozen=True, kw_only=True, tag="begun"):
    """An export begins; the latest one counts."""

    unit_id: UnitId
    format: Count = FORMAT
    recipients: tuple[Text, ...] = ()
    """The first 16 hex digits of the SHA-256 of each age recipient that parcels are encrypted to from here on."""
    reply_to: Age
    """The unit's own age recipient, for what the centre writes back."""


class ParcelLine(_Statement, frozen=True, kw_only=True, tag="parcel"):
    """A parcel is on the stick, whole and flushed."""

    number: Number
    size_bytes: Annotated[int, msgspec.Meta(ge=1, le=1 << 32)]
    sha256: Sha256
    """Of the encrypted file: with the signature over this line it says who wrote the parcel, which age does not."""
    holds: Annotated[tuple[Holding, ...], msgspec.Meta(max_length=4096)] = ()


class Struck(_Statement, frozen=True, kw_only=True, tag="struck"):
    """A parcel is taken back: damaged, or arrived and removed to make room. Its number is never used again."""

    number: Number


class Verified(_Statement, frozen=True, kw_only=True, tag="verified"):
    """Every parcel that stood at this moment was read back from the medium and had its digest."""

    parcel_count: Count


Statement = Begun | ParcelLine | Struck | Verified


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """Octets ``offset`` to ``offset + size_bytes`` of the part called ``sha256``; in this order after the head."""

    sha256: Sha256
    part_bytes: Count
    offset: Count = 0
    size_bytes: Count


class StudyManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What ``PUT /v1/studies/{study_instance_uid}/manifest`` would say."""

    study_instance_uid: Uid
    manifest: Manifest
    notes: StudyNotes | None = None
    """What ``POST /v1/notes`` would say; a centre of an earlier release does not look at it."""


class ParcelHead(msgspec.Struct, frozen=True, kw_only=True):
    """First in every parcel; each parcel names in its manifests every part that it brings."""

    unit_id: UnitId
    """Whoever signs another unit's parcel as its own is found out."""
    stick: StickId
    number: Number
    studies: tuple[StudyManifest, ...] = ()
    slices: Annotated[tuple[Slice, ...], msgspec.Meta(max_length=4096)] = ()


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What the centre has to say to one unit; ``inbox`` as ``GET /v1/inbox`` would answer."""

    unit_id: UnitId
    stick: StickId
    inbox: Inbox
    waiting_count: Count = 0
    """Instances of this unit that the centre has heard of and not verified yet."""


class SignedReply(msgspec.Struct, frozen=True, kw_only=True):
    """``statement``: JSON bytes of a ``Reply``; ``signature``: the centre's Ed25519 over ``REPLY_CONTEXT`` and them."""

    statement: bytes
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
