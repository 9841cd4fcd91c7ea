"""Holds the object under way until it has proved sound, so that a damaged one can be set aside as it came.

Small objects never touch the disk. Of larger ones all but the last ``spool_memory_bytes_max`` waits in an unnamed file:
written in a thread, so that a slow medium never stops the loop, and gone with the object or the process. It is a copy
for people; when it cannot be written the object goes on without one.
"""

from __future__ import annotations

import asyncio
import errno
import io
import tempfile
from pathlib import Path
from typing import BinaryIO

from appliance.domain.limits import LimitSet
from appliance.gatekeeper import quarantine
from appliance.gatekeeper.quarantine import Label
from appliance.gatekeeper.stream import pages
from appliance.logging import log


class Spool:
    """One association's object under way."""

    def __init__(self, folder: Path, limits: LimitSet, run_bytes_max: int) -> None:
        """An empty one; ``run_bytes_max`` is the most that comes between two looks at ``is_due``."""
        self._folder = folder
        self._limits = limits
        self._recent_bytes_max = limits.spool_memory_bytes_max + run_bytes_max
        # Made at the first object and used for all: growing a fresh one for each costs twice as much (measured).
        self._recent = memoryview(b"")
        self._recent_bytes = 0
        self._file: BinaryIO | None = None
        self._is_lost = False

    @property
    def is_due(self) -> bool:
        """Whether ``write_out`` must be awaited before more comes."""
        return self._recent_bytes >= self._limits.spool_memory_bytes_max

    def clear(self) -> None:
        """Forget the object; dropping a large file takes a moment, so a thread does it."""
        self._recent_bytes = 0
        self._is_lost = False
        file, self._file = self._file, None
        if file is not None:
            asyncio.get_running_loop().run_in_executor(None, file.close)

    def close(self) -> None:
        """Forget the object and give the memory back."""
        self.clear()
        self._recent = memoryview(b"")

    def append(self, fragment: memoryview) -> None:
        """The next bytes of the object."""
        if not self._recent:
            self._recent = pages(self._recent_bytes_max)
        stop = self._recent_bytes + len(fragment)
        self._recent[self._recent_bytes : stop] = fragment
        self._recent_bytes = stop

    async def write_out(self) -> None:
        """Move what is in memory to the file."""
        recent, self._recent_bytes = self._recent[: self._recent_bytes], 0
        if self._is_lost:
            return
        try:
            self._file = await asyncio.to_thread(_append, self._file, self._folder, recent)
        except OSError as error:
            self._is_lost = True
            log("unit.gatekeeper", "cannot spool", error=error.strerror)

    async def set_aside(self, label: Label) -> str:
        """Put the object into quarantine; its file name there.

        Raises:
            NoRoomError, OSError: As ``quarantine.keep``, or if its bytes could not be held.
        """
        if self._file is not None:
            await self.write_out()
        if self._is_lost:
            raise OSError(errno.EIO, "the object could not be held")
        whole = self._file or io.BytesIO(self._recent[: self._recent_bytes])
        return await asyncio.to_thread(quarantine.keep, self._folder, label, whole, self._limits)


def _append(file: BinaryIO | None, folder: Path, data: memoryview) -> BinaryIO:
    if file is None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - lives as long as the object
    while data:
        data = data[file.write(data) :]
    return file
