"""What somebody brings on a stick, read as what it is: octets of unknown origin; for the centre.

Whoever signed the index is checked first, then each parcel against its line, then what the parcel says of itself. What
fails is refused alone, with a sentence; the rest of the stick is used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sync.courier.errors import FormatError, StickError, StickFault
from sync.courier.index import Index, read_index
from sync.courier.limits import CourierLimits
from sync.courier.messages import FOLDER, INDEX_NAME, PARCELS_FOLDER, ParcelLine
from sync.courier.parcel import OpenParcel, open_parcel, parcel_name
from sync.courier.stick import Folder

_UNIT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Refused:
    """A parcel that is not used."""

    number: int
    sentence: str


def units_on(path: Path, limits: CourierLimits) -> tuple[str, ...]:
    """Unit ids that have a folder on the stick; their claims are not checked yet.

    Raises:
        FileNotFoundError: If there is no folder of ours.
        StickError: As the medium reports.
    """
    with Folder.open(path) as root, root.enter(FOLDER) as top:
        names = top.names(limits.unit_count_max)
    return tuple(name for name in names if _UNIT_ID.fullmatch(name))


class Brought:
    """One unit's folder on a stick, for reading; close it, or use it as a context manager.

    Args:
        path: Where the stick is mounted.
        unit_id: Whose folder; one of ``units_on``.
        public_key: That unit's Ed25519 key, 32 raw bytes, as the centre knows it.
        limits: Bounds.

    Raises:
        FileNotFoundError: If something of it is missing.
        FormatError: If its index is beyond a limit, of another unit, or holds no line that the unit signed.
        StickError: As the medium reports.
    """

    def __init__(self, path: Path, unit_id: str, public_key: bytes, limits: CourierLimits) -> None:
        self.unit_id = unit_id
        self._limits = limits
        self._open: list[Folder] = []
        try:
            root = self._entered(Folder.open(path))
            top = self._entered(root.enter(FOLDER))
            self.folder = self._entered(top.enter(unit_id))
            self.index = self._read_index(public_key)
            self._parcels = self._entered(self.folder.enter(PARCELS_FOLDER))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Brought:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the stick go."""
        for folder in reversed(self._open):
            folder.close()

    def parcels(self, secret: str) -> Iterator[OpenParcel | Refused]:
        """Each parcel that stands, in order, one in memory at a time; one that cannot be used says why.

        Raises:
            StickError: ``gone``, when the stick was pulled.
            ValueError: ``secret`` is no age identity.
        """
        for number, line in sorted(self.index.parcels.items()):
            try:
                yield self._parcel(line, secret)
            except FileNotFoundError:
                yield Refused(number, f"Parcel {number} is missing on the stick.")
            except FormatError as error:
                yield Refused(number, f"Parcel {number} was refused: {error}.")
            except StickError as error:
                if error.fault is StickFault.GONE and self.is_gone():
                    raise
                yield Refused(number, f"Parcel {number} cannot be read: {error.detail}.")

    def is_gone(self) -> bool:
        """Whether the stick as a whole stopped answering."""
        try:
            for _ in self.folder.read_medium(INDEX_NAME):
                return False
        except (StickError, FileNotFoundError):
            return True
        return False

    def _parcel(self, line: ParcelLine, secret: str) -> OpenParcel:
        if line.size_bytes > self._limits.parcel_file_bytes_max:
            raise FormatError("it is larger than a parcel may be")
        sealed = self._parcels.read(parcel_name(line.number), line.size_bytes)
        if hashlib.sha256(sealed).hexdigest() != line.sha256:
            raise FormatError("its octets are not those that the unit wrote")
        parcel = open_parcel(sealed, secret, self._limits)
        head = parcel.head
        if (head.unit_id, head.stick, head.number) != (self.unit_id, self.index.stick, line.number):
            raise FormatError("it was made by another unit, or for another stick")
        return parcel

    def _read_index(self, public_key: bytes) -> Index:
        limits = self._limits
        lines = self.folder.read_lines(INDEX_NAME, limits.index_line_bytes_max, limits.index_bytes_max)
        index = read_index(lines, public_key, limits)
        if index.begun is None:
            raise FormatError("no line of its index was signed by this unit")
        if index.begun.unit_id != self.unit_id:
            raise FormatError("its index is of another unit")
        return index

    def _entered(self, folder: Folder) -> Folder:
        self._open.append(folder)
        return folder
