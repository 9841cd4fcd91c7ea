"""One unit's folder on a stick, as the unit itself sees it: what stands there, and adding to it in the right order.

A parcel counts from the moment its line is in the index, and the line is written only after the parcel was flushed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sync.courier.errors import FormatError, StickError, StickFault
from sync.courier.index import Index, read_index, write_line
from sync.courier.keys import UnitKeys
from sync.courier.limits import CourierLimits
from sync.courier.messages import (
    FOLDER,
    INDEX_NAME,
    PARCELS_FOLDER,
    README_NAME,
    Begun,
    Holding,
    ParcelHead,
    ParcelLine,
    Statement,
    Struck,
    Verified,
)
from sync.courier.parcel import close_parcel, parcel_name
from sync.courier.stick import Folder

_PROBE_NAME = "probe.tmp"
README = """\
This folder belongs to Qafila. It carries medical studies from a mobile unit to its centre.

Everything in it is encrypted; only the centre can open it. Please do not change or delete it.
If you found this stick, please bring it back to the unit or to the centre.

Ce dossier appartient à Qafila. Il porte des examens médicaux d'une unité mobile à son centre.
Tout y est chiffré ; seul le centre peut l'ouvrir. Prière de ne rien changer ni effacer.
Si vous avez trouvé cette clé, merci de la rapporter à l'unité ou au centre.
"""


def stick_at(path: Path, keys: UnitKeys, limits: CourierLimits) -> str:
    """The id that this unit gave a stick; empty for one that is new to it. Raises ``StickError``."""
    try:
        with UnitFolder(path, keys, limits, create=False) as folder:
            return folder.index.stick
    except FileNotFoundError:
        return ""


class UnitFolder:
    """Close it, or use it as a context manager; every method raises ``StickError``.

    Args:
        path: The stick's own folder, where it is mounted.
        keys: The unit's.
        limits: Bounds.
        create: Make what is missing; without it, ``FileNotFoundError`` says that this unit has nothing there.
    """

    def __init__(self, path: Path, keys: UnitKeys, limits: CourierLimits, *, create: bool) -> None:
        self._keys = keys
        self._limits = limits
        self._open: list[Folder] = []
        try:
            root = self._entered(Folder.open(path))
            top = self._entered(root.enter(FOLDER, create=create))
            if create and top.size_of(README_NAME) is None:
                top.write(README_NAME, README.encode("utf-8"))
            self.folder = self._entered(top.enter(keys.unit_id, create=create))
            self._parcels = self._entered(self.folder.enter(PARCELS_FOLDER, create=create))
            self.index = self._read_index()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> UnitFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the stick go."""
        for folder in reversed(self._open):
            folder.close()

    def begin(self, stick_if_new: str, fingerprints: tuple[str, ...]) -> None:
        """Note that an export begins; parcels that are missing or of another length are struck out.

        Those encrypted to somebody else than now are too: a stick may come back to a unit that has another centre.
        """
        before = self.index.begun
        self.index.stick = self.index.stick or stick_if_new
        others = before is not None and before.recipients != fingerprints
        for number, line in list(self.index.parcels.items()):
            if others or self._parcels.size_of(parcel_name(number)) != line.size_bytes:
                self.strike(number)
        self._say(
            Begun(
                stick=self.index.stick,
                unit_id=self._keys.unit_id,
                recipients=fingerprints,
                reply_to=self._keys.reply_to,
            )
        )

    def add(
        self, head: ParcelHead, content: Sequence[bytes], holds: tuple[Holding, ...], recipients: Sequence[str]
    ) -> None:
        """Encrypt a parcel, write and flush it, and then its line.

        Raises:
            StickError: ``full`` when there is no room; what stood there before is as it was.
        """
        sealed = close_parcel(head, content, recipients)
        if self.folder.free_bytes() < len(sealed) + self._limits.reserve_bytes:
            raise StickError(StickFault.FULL, f"{self.folder.shown}: {self.folder.free_bytes()} bytes are free")
        self._parcels.write(parcel_name(head.number), sealed)
        digest = hashlib.sha256(sealed).hexdigest()
        line = ParcelLine(
            stick=self.index.stick, number=head.number, size_bytes=len(sealed), sha256=digest, holds=holds
        )
        try:
            self._say(line)
        except StickError as error:
            if error.fault is StickFault.FULL:
                self._parcels.remove(parcel_name(head.number))
            raise

    def strike(self, number: int) -> None:
        """Take a parcel back: its line first, so that nobody misses the file."""
        self._say(Struck(stick=self.index.stick, number=number))
        self._parcels.remove(parcel_name(number))

    def say_verified(self) -> None:
        """Note that every parcel was read back."""
        self._say(Verified(stick=self.index.stick, parcel_count=len(self.index.parcels)))

    def settle(self) -> None:
        """Have everything on the medium."""
        self.folder.settle()

    def damaged(self, on_read: Callable[[int], None], cancelled: Callable[[], bool]) -> Iterator[int]:
        """Numbers of the parcels that the medium does not give back as they were written.

        Args:
            on_read: Told the bytes read, often.
            cancelled: Asked before each parcel; ends it early.
        """
        for number, line in sorted(self.index.parcels.items()):
            if cancelled():
                return
            digest, size_bytes = hashlib.sha256(), 0
            try:
                for octets in self._parcels.read_medium(parcel_name(number)):
                    digest.update(octets)
                    size_bytes += len(octets)
                    on_read(len(octets))
            except FileNotFoundError:
                pass
            except StickError as error:
                if error.fault is StickFault.GONE and self._is_gone():
                    raise
            if (digest.hexdigest(), size_bytes) != (line.sha256, line.size_bytes):
                yield number

    def index_stands(self) -> bool:
        """Whether the medium gives the index back as it was written."""
        try:
            lines = b"".join(bytes(octets) for octets in self.folder.read_medium(INDEX_NAME)).splitlines(keepends=True)
            return read_index(lines, self._keys.public_key, self._limits) == self.index
        except (FileNotFoundError, FormatError):
            return False

    def _is_gone(self) -> bool:
        """Whether the stick as a whole stopped answering, and not one bad place on it."""
        try:
            self.folder.write(_PROBE_NAME, b"")
            self.folder.remove(_PROBE_NAME)
        except StickError as error:
            return error.fault is not StickFault.FULL
        return False

    def _read_index(self) -> Index:
        limits = self._limits
        try:
            lines = self.folder.read_lines(INDEX_NAME, limits.index_line_bytes_max, limits.index_bytes_max)
            return read_index(lines, self._keys.public_key, limits)
        except FileNotFoundError:
            return Index()

    def _say(self, statement: Statement) -> None:
        line = write_line(statement, self._keys.sign)
        if not self.folder.ends_a_line(INDEX_NAME):
            line = b"\n" + line  # the last one was cut off by a pulled stick
        self.folder.append(INDEX_NAME, line)
        self.index.take(statement)

    def _entered(self, folder: Folder) -> Folder:
        self._open.append(folder)
        return folder
