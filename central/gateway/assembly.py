"""From chunks in the object store to whole parts in files of their own, checked against their names on the way."""

from __future__ import annotations

import hashlib
from pathlib import Path

from central.gateway.objects import ObjectError, Objects
from central.store.parts import Chunk

STEP_BYTES = 1024 * 1024


class PartSpoiled(Exception):
    """A complete part is not what it was: a chunk is gone, or its bytes have changed. ``sha256`` names it."""

    def __init__(self, sha256: str) -> None:
        super().__init__(sha256)
        self.sha256 = sha256


def fetch(objects: Objects, sha256: str, pieces: list[Chunk], path: Path) -> None:
    """Write the part to ``path``.

    Raises:
        PartSpoiled: If what is in the store does not have the part's name.
        ObjectError: If the store does not answer.
        OSError: If the file cannot be written.
    """
    hash_ = hashlib.sha256()
    try:
        with path.open("wb") as file:
            for piece in pieces:
                for data in objects.read(piece.object_key):
                    hash_.update(data)
                    file.write(data)
    except ObjectError as error:
        if error.missing:
            raise PartSpoiled(sha256) from error
        raise
    if hash_.hexdigest() != sha256:
        raise PartSpoiled(sha256)


def sha256_of(path: Path) -> tuple[str, int]:
    """Digest and size of a file."""
    hash_ = hashlib.sha256()
    size_bytes = 0
    with path.open("rb") as file:
        while data := file.read(STEP_BYTES):
            hash_.update(data)
            size_bytes += len(data)
    return hash_.hexdigest(), size_bytes
