"""A few warm worker processes that unpack and rebuild; one that dies or stalls is replaced and costs one question."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from appliance.logging import log
from central.limits import GatewayLimits

START_S_MAX = 60.0
ANSWER_BYTES_MAX = 4 * 1024 * 1024
"""The digests of the 10,000 skeletons that a header part may hold take 670 KB."""
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Threads of numerical libraries reserve address space that counts against the bound."""


class WorkerError(Exception):
    """A question got no good answer.

    Attributes:
        code: ``wire`` (the parts are damaged or do not fit), ``memory``, ``died``, ``stalled``, ``fault`` (a mistake of
            ours that these parts bring out), or ``os`` (the disk).
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason

    @property
    def about_parts(self) -> bool:
        """Whether the parts are to blame, and not the disk."""
        return self.code != "os"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a worker says that it made."""

    sha256: str
    identity: dict[str, str]


class WorkerPool:
    """``limits.worker_count`` processes; questions wait for a free one."""

    def __init__(self, limits: GatewayLimits) -> None:
        self._limits = limits
        self._free: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        self._all: list[_Worker] = []

    async def start(self) -> None:
        """Start them all, so that the first film does not wait for imports."""
        self._all += [_Worker(self._limits) for _ in range(self._limits.worker_count)]
        await asyncio.gather(*(worker.warm() for worker in self._all), return_exceptions=True)
        # Only now: a question before its process said that it is ready would take that for the answer.
        for worker in self._all:
            self._free.put_nowait(worker)

    async def close(self) -> None:
        """End them."""
        for worker in self._all:
            await worker.end()

    async def unpack(self, header: str, path: Path) -> list[str]:
        """The SHA-256 of the files whose skeletons a header part holds.

        Raises:
            WorkerError: As it says.
        """
        answer = await self._ask({"do": "unpack", "header": header, "header_path": str(path)})
        return [str(sha) for sha in answer["files"]]

    async def rebuild(self, header: str, header_path: Path, file: str, pixels: Path | None, out: Path) -> Rebuilt:
        """Write the file of this SHA-256 to ``out``.

        Raises:
            WorkerError: As it says.
        """
        question = {
            "do": "rebuild",
            "header": header,
            "header_path": str(header_path),
            "file": file,
            "pixels_path": None if pixels is None else str(pixels),
            "out_path": str(out),
        }
        answer = await self._ask(question)
        return Rebuilt(str(answer["sha256"]), {str(k): str(v) for k, v in answer["identity"].items()})

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        worker = await self._free.get()
        try:
            return await worker.ask(question)
        finally:
            self._free.put_nowait(worker)


class _Worker:
    """One process, started when it is needed and not there."""

    def __init__(self, limits: GatewayLimits) -> None:
        self._limits = limits
        self._process: Process | None = None

    async def warm(self) -> Process:
        """The running process.

        Raises:
            WorkerError: ``os`` when it cannot be started.
        """
        if self._process is not None and self._process.returncode is None:
            return self._process
        command = [sys.executable, "-m", "central.gateway.worker", str(self._limits.worker_memory_bytes_max)]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                limit=ANSWER_BYTES_MAX,
                start_new_session=True,
                env={**os.environ, **_ENVIRONMENT},
            )
        except OSError as error:
            raise WorkerError("os", error.strerror or "no process") from error
        await self._line(self._process, START_S_MAX, "os")
        return self._process

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        process = await self.warm()
        assert process.stdin is not None
        try:
            process.stdin.write(msgspec.json.encode(question) + b"\n")
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            await self.end()
            raise WorkerError("os", "the worker had ended") from None
        answer = await self._line(process, self._limits.worker_s_max, "died")
        if "error" in answer:
            code, reason = answer["error"]
            raise WorkerError(str(code), str(reason))
        return answer

    async def _line(self, process: Process, wait_s_max: float, code: str) -> dict[str, Any]:
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), wait_s_max)
            answer = msgspec.json.decode(line)
        except TimeoutError:
            await self.end()
            raise WorkerError("stalled" if code == "died" else code, f"no answer in {wait_s_max:.0f} s") from None
        except (ValueError, msgspec.MsgspecError):
            await self.end()
            log("gateway.workers", "worker died", pid=process.pid, exit_code=process.returncode)
            raise WorkerError(code, f"exit code {process.returncode}") from None
        except asyncio.CancelledError:
            # Its answer would be taken for that of the next question.
            await self.end()
            raise
        return dict(answer)

    async def end(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._process = None
