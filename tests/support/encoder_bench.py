"""What the tests of the encoder share: a service with real workers, and workers that misbehave as told."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.clock import Clock, SystemClock
from appliance.domain.limits import LimitSet
from sync.adapters.base import SendItem
from sync.encoder.base import EncodedFile
from sync.encoder.child import WORKER
from sync.encoder.lane import receiving_at
from sync.encoder.service import EncoderService
from sync.wire.rebuild import rebuild
from tests.support.encoder_items import odd_worker
from tests.support.world import wait_for

LIMITS = LimitSet(encoder_idle_s_max=600.0)
CLOCK = SystemClock()
PLENTY = 1 << 40


def never() -> bool:
    return False


@contextmanager
def running(
    folder: Path,
    limits: LimitSet = LIMITS,
    command: Sequence[str] = WORKER,
    free_bytes: int = PLENTY,
    run_dir: Path | None = None,
    clock: Clock = CLOCK,
) -> Iterator[EncoderService]:
    receiving = receiving_at(run_dir, CLOCK) if run_dir else never
    service = EncoderService(
        folder / "spool",
        limits,
        clock,
        is_receiving=receiving,
        free_bytes=lambda: free_bytes,
        core_count=2,
        command=command,
    )
    try:
        yield service
    finally:
        service.close()


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4) as executor:
        yield executor


def rebuilt(parts: EncodedFile) -> bytes:
    out = io.BytesIO()
    if parts.pixels is None:
        rebuild(parts.skeleton, None, out)
    else:
        with parts.pixels.open("rb") as file:
            rebuild(parts.skeleton, file, out)
    return out.getvalue()


def encoded(service: EncoderService, item: SendItem) -> EncodedFile:
    parts = service.encoded(item, never)
    assert parts is not None
    return parts


class Control:
    """What the odd workers are told, and what they say they were asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "control"
        self.command = odd_worker(self.folder)

    def order(self, item: SendItem, order: str) -> None:
        (self.folder / item.path.stem).write_text(order)

    def go_on(self) -> None:
        (self.folder / "go-on").touch()

    def asked(self) -> list[tuple[str, str]]:
        """File and effort (or ``preview``) of each question."""
        return [(line.split()[0], line.split()[1]) for line in self._lines() if line != "warm"]

    def warmed_count(self) -> int:
        return self._lines().count("warm")

    def pid(self, item: SendItem) -> int:
        """Of the worker that was asked last about this file."""
        return int([line for line in self._lines() if line.split()[0] == item.path.stem][-1].split()[2])

    def wait_asked(self, item: SendItem, *, preview: bool = False) -> None:
        wait_for(
            lambda: any(stem == item.path.stem and (what == "preview") is preview for stem, what in self.asked()),
            f"a question about {item.path.stem}",
        )

    def _lines(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(tmp_path)


def efforts(control: Control, item: SendItem) -> list[str]:
    return [what for stem, what in control.asked() if stem == item.path.stem and what != "preview"]
