"""A unit at a real gateway: enrolled by the product's own code, with an encoder that works in its caller's thread."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.cli.enrol import enrol
from appliance.clock import Clock, SystemClock
from appliance.config import GatewayDestination, UnitConfig, UnitTable
from appliance.domain.limits import LimitSet
from sync.adapters.base import SendItem
from sync.adapters.build import Home, build
from sync.adapters.gateway.adapter import Gateway as GatewayAdapter
from sync.encoder.base import EncodedFile, EncodeError, PreviewFile
from sync.wire.effort import FAST
from sync.wire.encode import encode

NAME = "centre"


@dataclass
class InlineEncoder:
    """``sync.encoder.base.Encoder`` without processes; what it was asked is kept for the test to look at.

    Attributes:
        unready: SHA-256 of files whose parts cannot be had until the test says so.
        fails: By SHA-256.
        no_preview: Makes none of any file.
    """

    folder: Path
    unready: set[str] = field(default_factory=set)
    fails: dict[str, EncodeError] = field(default_factory=dict)
    no_preview: bool = False
    made: dict[str, EncodedFile] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def now_ready(self, item: SendItem) -> None:
        """Let its parts be made."""
        with self.changed:
            self.unready.discard(item.sha256)
            self.changed.notify_all()

    def want(self, items: Sequence[SendItem]) -> None:
        """Nothing is made ahead."""

    def preview(self, item: SendItem, cancelled: Callable[[], bool]) -> PreviewFile | None:
        if self.no_preview or cancelled():
            return None
        content = b"preview of " + item.sha256.encode()
        path = self.folder / f"{item.sha256}.preview"
        self.folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return PreviewFile(path, hashlib.sha256(content).hexdigest(), len(content), "image/webp")

    def encoded(self, item: SendItem, cancelled: Callable[[], bool]) -> EncodedFile | None:
        if item.sha256 in self.fails:
            raise self.fails[item.sha256]
        with self.changed:
            while item.sha256 in self.unready:
                if cancelled():
                    return None
                self.changed.wait(0.05)
            self.asked.append(item.sha256)
            if item.sha256 not in self.made:
                self.made[item.sha256] = self._encode(item)
            return self.made[item.sha256]

    def _encode(self, item: SendItem) -> EncodedFile:
        self.folder.mkdir(parents=True, exist_ok=True)
        out = self.folder / f"{item.sha256}.pixels"
        made = encode(item.path, out, FAST)
        return EncodedFile(
            skeleton=made.skeleton,
            pixels=out if made.pixels_bytes else None,
            pixels_sha256=made.pixels_sha256,
            pixels_bytes=made.pixels_bytes,
            restores_sha256=made.restores_sha256,
            restores_bytes=made.restores_bytes,
            no_pixels=not made.pixels_bytes,
        )

    def ready(self, item: SendItem) -> bool:
        return item.sha256 not in self.unready and item.sha256 not in self.fails

    def coded_bytes(self, sha256: str) -> int | None:
        made = self.made.get(sha256)
        return made.pixels_bytes if made else None

    def forget(self, sha256: str) -> None:
        self.made.pop(sha256, None)

    def note_link(self, rate_bytes_per_s: float | None, backlog_bytes: int) -> None:
        """No effort is chosen."""

    def close(self) -> None:
        """Nothing runs."""


@dataclass
class EnrolledUnit:
    """A unit's folder with key and identity; makes destinations that lead to the gateway or to a proxy before it."""

    folder: Path
    encoder: InlineEncoder
    made: list[GatewayAdapter] = field(default_factory=list)

    @property
    def config(self) -> UnitConfig:
        return UnitConfig(unit=UnitTable(name=self.name, data_dir=str(self.folder)))

    name: str = "van-1"

    def enrol(self, url: str, code: str, *, ca_file: str = "") -> EnrolledUnit:
        """As ``qafila unit enrol`` does it."""
        enrol(self.config, GatewayDestination(name=NAME, url=url, ca_file=ca_file), code)
        return self

    def destination(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        limits: LimitSet | None = None,
        ca_file: str = "",
        proxy: str = "",
        flow_count: int = 0,
        congestion: str = "auto",
    ) -> GatewayAdapter:
        """The adapter as the unit would build it; ``close`` ends all of them."""
        table = GatewayDestination(
            name=NAME, url=url, ca_file=ca_file, proxy=proxy, flow_count=flow_count, congestion=congestion
        )
        home = Home(self.config.identity_dir, self.config.run_dir, self.encoder)
        self.config.run_dir.mkdir(parents=True, exist_ok=True)
        made = build(table, limits or LimitSet(), clock or SystemClock(), self.folder / "sync", home)
        assert isinstance(made, GatewayAdapter)
        self.made.append(made)
        return made

    def close(self) -> None:
        """End what was made."""
        for destination in self.made:
            destination.close()


def enrolled_unit(folder: Path, url: str, code: str, name: str = "van-1", *, ca_file: str = "") -> EnrolledUnit:
    """A new unit, known at the gateway."""
    unit = EnrolledUnit(folder, InlineEncoder(folder / "spool"), name=name)
    return unit.enrol(url, code, ca_file=ca_file)
