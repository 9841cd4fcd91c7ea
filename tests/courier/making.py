"""Units, parts and a centre in a few lines, for tests of sticks."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import StudyHeader
from sync.adapters.base import SendItem
from sync.courier.export import Order, Tools
from sync.courier.keys import UnitKeys, names_key_of
from sync.courier.limits import CourierLimits
from sync.courier.reading import Brought, Refused
from sync.courier.sealing import new_secret, recipient_of
from sync.encoder.base import EncodedFile, EncodeError, PreviewFile
from sync.wire.effort import FAST
from sync.wire.encode import encode
from sync.wire.headers import pack, unpack
from sync.wire.messages import InstanceInfo
from sync.wire.rebuild import rebuild
from tests.support.files import small_chest

LIMITS = CourierLimits(parcel_bytes=12_000, reserve_bytes=64 * 1024)
"""Small parcels, so that a few images fill several and one is cut."""
STICK_ID = "0123456789abcdef"
UNIT_ID = "11111111-2222-4333-8444-555555555555"


def made_keys(seed: int = 1, unit_id: str = UNIT_ID) -> UnitKeys:
    """A unit's keys; the same for the same seed, but for the age key."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return UnitKeys(unit_id, private.sign, public, names_key_of(bytes([seed]) * 32), new_secret())


@dataclass
class DirectEncoder:
    """Makes real parts at once, in the calling thread; ``broken`` files cannot be made."""

    folder: Path
    broken: set[str] = field(default_factory=set)
    encoded_count: int = 0
    after_each: Callable[[], None] = lambda: None

    def want(self, items: Sequence[SendItem]) -> None:
        """Nothing is made ahead."""

    def preview(self, item: SendItem, cancelled: Callable[[], bool]) -> PreviewFile | None:
        octets = b"a picture of " + item.sha256.encode()
        path = self.folder / f"{item.sha256}.webp"
        path.write_bytes(octets)
        return PreviewFile(path, hashlib.sha256(octets).hexdigest(), len(octets), "image/webp")

    def encoded(self, item: SendItem, cancelled: Callable[[], bool]) -> EncodedFile | None:
        if cancelled():
            return None
        if item.sha256 in self.broken:
            raise EncodeError(Failure(FailureKind.PERMANENT, "damaged-here", "The stored image is damaged."))
        self.encoded_count += 1
        path = self.folder / f"{item.sha256}.pixels"
        made = encode(item.path, path, FAST)
        self.after_each()
        return EncodedFile(
            skeleton=made.skeleton,
            pixels=path if made.pixels_bytes else None,
            pixels_sha256=made.pixels_sha256,
            pixels_bytes=made.pixels_bytes,
            restores_sha256=made.restores_sha256,
            restores_bytes=made.restores_bytes,
            no_pixels=not made.pixels_bytes,
        )

    def ready(self, item: SendItem) -> bool:
        return False

    def coded_bytes(self, sha256: str) -> int | None:
        return None

    def forget(self, sha256: str) -> None:
        """Nothing is remembered."""

    def note_link(self, rate_bytes_per_s: float | None, backlog_bytes: int) -> None:
        """There is no link."""

    def close(self) -> None:
        """There are no workers."""


def made_items(
    folder: Path, study_count: int = 2, image_count: int = 2, rows: int = 96, first_study: int = 0
) -> tuple[SendItem, ...]:
    """Stored images of several studies; the first study is STAT."""
    folder.mkdir(parents=True, exist_ok=True)
    items: list[SendItem] = []
    for study in range(first_study, first_study + study_count):
        study_uid = f"1.2.826.0.1.{study + 1}"
        for number in range(image_count):
            path = folder / f"{study}-{number}.dcm"
            small_chest(path, seed=study * 100 + number, study_instance_uid=study_uid, number=number + 1, rows=rows)
            items.append(made_item(path, len(items) + 1, stat=study == first_study, study_instance_count=image_count))
    return tuple(items)


def made_item(path: Path, item_id: int, *, stat: bool = False, study_instance_count: int = 1) -> SendItem:
    """A stored file as the unit's records describe it."""
    data_set = pydicom.dcmread(path, stop_before_pixels=True)
    octets = path.read_bytes()
    study_uid = str(data_set.StudyInstanceUID)
    return SendItem(
        item_id=item_id,
        sop_instance_uid=str(data_set.SOPInstanceUID),
        sop_class_uid=str(data_set.SOPClassUID),
        study_instance_uid=study_uid,
        series_instance_uid=str(data_set.SeriesInstanceUID),
        transfer_syntax_uid=str(data_set.file_meta.TransferSyntaxUID),
        size_bytes=len(octets),
        sha256=hashlib.sha256(octets).hexdigest(),
        path=path,
        stat=stat,
        study=StudyHeader(study_uid, "DOE^JANE", "P-1", "19700101", "F", "A-1", "20260101", "Chest", "DX"),
        study_instance_count=study_instance_count,
    )


@dataclass
class Bench:
    """A unit, its stick and its centre."""

    stick: Path
    items: tuple[SendItem, ...]
    encoder: DirectEncoder
    keys: UnitKeys = field(default_factory=made_keys)
    centre_secret: str = field(default_factory=new_secret)

    def order(self, **changes: object) -> Order:
        values: dict[str, object] = {
            "path": self.stick,
            "items": self.items,
            "recipients": (recipient_of(self.centre_secret),),
            "new_stick_id": STICK_ID,
        }
        return Order(**{**values, **changes})  # type: ignore[arg-type]  # a test's shorthand

    def tools(self, **changes: object) -> Tools:
        values: dict[str, object] = {
            "keys": self.keys,
            "encoder": self.encoder,
            "pack_headers": lambda skeletons: pack(skeletons, FAST),
            "limits": LIMITS,
        }
        return Tools(**{**values, **changes})  # type: ignore[arg-type]  # a test's shorthand

    def arrived(self, secret: str = "") -> tuple[dict[str, bytes], list[Refused]]:
        """What a centre makes of the stick: files by SOP Instance UID, rebuilt and compared, and what it refuses."""
        parts: dict[str, bytearray] = {}
        instances: dict[str, InstanceInfo] = {}
        refused: list[Refused] = []
        with Brought(self.stick, self.keys.unit_id, self.keys.public_key, LIMITS) as brought:
            for parcel in brought.parcels(secret or self.centre_secret):
                if isinstance(parcel, Refused):
                    refused.append(parcel)
                    continue
                for piece, octets in parcel.slices():
                    part = parts.setdefault(piece.sha256, bytearray(piece.part_bytes))
                    part[piece.offset : piece.offset + piece.size_bytes] = octets
                for study in parcel.head.studies:
                    instances |= {one.sop_instance_uid: one for one in study.manifest.instances}
        whole = {name for name, octets in parts.items() if hashlib.sha256(octets).hexdigest() == name}
        files = {}
        for uid, one in instances.items():
            if one.header in whole and (one.no_pixels or one.pixels in whole):
                out = io.BytesIO()
                skeleton = unpack(bytes(parts[one.header]))[one.sha256]
                assert rebuild(skeleton, io.BytesIO(parts[one.pixels]) if one.pixels else None, out) == one.sha256
                files[uid] = out.getvalue()
        return files, refused

    def expected(self) -> dict[str, bytes]:
        return {item.sop_instance_uid: item.path.read_bytes() for item in self.items}


def made_bench(folder: Path, stick: Path | None = None, **items: int) -> Bench:
    """Images, an encoder and an empty folder as the stick."""
    at = stick or folder / "stick"
    at.mkdir(exist_ok=True)
    (folder / "spool").mkdir()
    return Bench(at, made_items(folder / "stored", **items), DirectEncoder(folder / "spool"))
