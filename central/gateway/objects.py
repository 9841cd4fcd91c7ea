"""The object store that parts lie in: a folder by default, anything that obstore knows by URL.

An object is written once under a name of its own and never changed. In a folder it is on the disk, with its directory,
before ``put`` returns; object storage promises as much by itself.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, from_url

READ_BYTES = 1024 * 1024


class ObjectError(Exception):
    """The object store failed this time; ``missing`` says that it answered and lacks the object."""

    def __init__(self, text: str, *, missing: bool = False) -> None:
        super().__init__(text)
        self.missing = missing


class Objects:
    """Blocking calls, safe from several threads."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.folder = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self._store: Any
        if self.folder is not None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store = LocalStore(self.folder)
        else:
            self._store = from_url(url)
        self._durable_folders: set[Path] = set()

    @staticmethod
    def new_key(part_sha256: str, offset_bytes: int) -> str:
        """A name that no other object ever has: two appends at one offset must not meet in one object."""
        return f"{part_sha256[:2]}/{part_sha256}-{offset_bytes}-{secrets.token_hex(6)}"

    def put(self, key: str, data: bytes) -> None:
        """Store; durable when it returns.

        Raises:
            ObjectError: If it may not be there.
        """
        try:
            obstore.put(self._store, key, data, use_multipart=False)
            if self.folder is not None:
                self._make_durable(self.folder / key)
        except (BaseError, OSError) as error:
            raise ObjectError(type(error).__name__) from error

    def read(self, key: str) -> Iterator[bytes]:
        """The object in pieces.

        Raises:
            ObjectError: If it is missing or cannot be read.
        """
        try:
            for piece in obstore.get(self._store, key).stream(min_chunk_size=READ_BYTES):
                yield bytes(piece)
        except (NotFoundError, FileNotFoundError) as error:
            raise ObjectError("missing", missing=True) from error
        except (BaseError, OSError) as error:
            raise ObjectError(type(error).__name__) from error

    def delete(self, keys: list[str]) -> None:
        """Remove; what is gone already is fine.

        Raises:
            ObjectError: If one may still be there.
        """
        for key in keys:
            try:
                obstore.delete(self._store, key)
            except (NotFoundError, FileNotFoundError):
                continue
            except (BaseError, OSError) as error:
                raise ObjectError(type(error).__name__) from error

    def older_than(self, wall_s: float) -> Iterator[list[str]]:
        """Keys of objects that were written before, some at a time.

        Raises:
            ObjectError: If the store cannot be listed.
        """
        try:
            for some in obstore.list(self._store):
                old = [str(one["path"]) for one in some if one["last_modified"].timestamp() < wall_s]
                if old:
                    yield old
        except (BaseError, OSError) as error:
            raise ObjectError(type(error).__name__) from error

    def free_bytes(self) -> int | None:
        """Room left on the disk; ``None`` where nobody can say."""
        if self.folder is None:
            return None
        facts = os.statvfs(self.folder)
        return facts.f_bavail * facts.f_frsize

    def _make_durable(self, path: Path) -> None:
        """The store writes a file and renames it, without telling the disk. There are 256 folders, made once each."""
        assert self.folder is not None
        _fsync(path)
        _fsync(path.parent)
        if path.parent not in self._durable_folders:
            _fsync(self.folder)
            self._durable_folders.add(path.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
