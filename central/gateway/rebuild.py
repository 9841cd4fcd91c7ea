"""One file from its parts, with its SHA-256 proved before anybody else sees it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from central.gateway.assembly import fetch, sha256_of
from central.gateway.objects import Objects
from central.gateway.workers import WorkerError, WorkerPool
from central.store.database import Database
from central.store.files import FileRow, Recipe
from central.store.parts import Chunk, chunks_of


class UnfitError(Exception):
    """Whole, undamaged parts do not make the file. ``code`` and ``reason`` say why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Made:
    """A rebuilt file; ``row`` is about it as it says of itself."""

    row: FileRow
    path: Path


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """What rebuilding needs."""

    database: Database
    objects: Objects
    workers: WorkerPool

    async def unpack(self, header: str, folder: Path) -> list[str]:
        """The files whose skeletons a complete header part holds.

        Raises:
            WorkerError: If it cannot be unpacked.
            PartSpoiled, ObjectError, OSError: As ``assembly.fetch``.
        """
        path = folder / "header.part"
        await self._fetch(header, path)
        return await self.workers.unpack(header, path)

    async def rebuild(self, row: FileRow, recipe: Recipe, folder: Path) -> Made:
        """The file, in ``folder``.

        Raises:
            UnfitError: If undamaged parts do not make it, or make a file with other identifiers.
            WorkerError: If the worker died, stalled, or ran out of memory or disk.
            PartSpoiled, ObjectError, OSError: As ``assembly.fetch``.
        """
        header_path, pixels_path, out_path = folder / "header.part", folder / "pixels.part", folder / "file.dcm"
        await self._fetch(recipe.header, header_path)
        if recipe.pixels:
            await self._fetch(recipe.pixels, pixels_path)
        try:
            made = await self.workers.rebuild(
                recipe.header, header_path, row.sha256, pixels_path if recipe.pixels else None, out_path
            )
        except WorkerError as error:
            if error.code == "wire":
                raise UnfitError("parts-unfit", error.reason) from error
            raise
        digest, size_bytes = await asyncio.to_thread(sha256_of, out_path)
        if digest != row.sha256 or size_bytes != row.size_bytes:
            raise UnfitError("parts-unfit", f"the parts make another file, of {size_bytes} bytes")
        return Made(_identified(row, made.identity), out_path)

    async def _fetch(self, sha256: str, path: Path) -> None:
        pieces: list[Chunk] = await self.database.reading(_chunks, sha256)
        await asyncio.to_thread(fetch, self.objects, sha256, pieces, path)


def _chunks(connection: Connection, sha256: str) -> list[Chunk]:
    return chunks_of(connection, sha256)


def _identified(row: FileRow, identity: dict[str, str]) -> FileRow:
    """The row with SOP class and transfer syntax as the file has them.

    Raises:
        UnfitError: If it has other identifiers: a manifest must not file a study under those of another.
    """
    said = {
        "StudyInstanceUID": row.study_instance_uid,
        "SeriesInstanceUID": row.series_instance_uid,
        "SOPInstanceUID": row.sop_instance_uid,
    }
    other = [key for key, value in said.items() if identity and identity.get(key) != value]
    if other:
        raise UnfitError("identity-mismatch", f"the file names another {other[0]} than the manifest")
    return replace(
        row,
        sop_class_uid=identity.get("SOPClassUID") or row.sop_class_uid,
        transfer_syntax_uid=identity.get("TransferSyntaxUID") or row.transfer_syntax_uid,
    )
