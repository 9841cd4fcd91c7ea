"""``python -m bench.fleet --units 1000``: one gateway before a simulated fleet, over real HTTP.

A simulated unit is a session and some bytes: it holds a question for news open all the time, as real units do, and
announces studies, appends to their parts and tells how it is. Everything but the images themselves is real; they are
left incomplete, so that nothing is rebuilt and the gateway alone is measured. Client and gateway share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.cli.demo.ports import free_port
from appliance.clock import SystemClock, utc_text
from appliance.supervisor import ChildSpec, end_process, spawn
from central.config import load_central
from central.store.opening import open_database
from central.store.units import add_unit
from sync.wire import messages as m
from sync.wire.proofs import session_message
from sync.wire.status import StatusReport

CLOCK = SystemClock()
WORKER_COUNT = 48
"""Requests under way at once; more of them wait for the two cores only."""
IMAGE_COUNT = 4
PREVIEW_BYTES = 12_000
START_S_MAX = 60.0


@dataclass
class Connection:
    """One kept connection; one question at a time."""

    port: int
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        said = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{said}\r\n".encode() + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head.split(" ", 2)[1])
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
        return status, await reader.readexactly(length) if length else b""

    def close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()


@dataclass
class Unit:
    """As much of a unit as the gateway can tell."""

    number: int
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    token: str = ""

    @property
    def unit_id(self) -> str:
        return f"00000000-0000-0000-0000-{self.number:012x}"

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}

    async def join(self, way: Connection) -> None:
        """Sign a nonce, as a unit does that comes back."""
        said = await _json(way, "/v1/session/nonce", m.NonceRequest(unit_id=self.unit_id), {})
        nonce = msgspec.json.decode(said, type=m.NonceAnswer).nonce
        signed = self.key.sign(session_message(b64decode(nonce), self.unit_id, ""))
        signature = b64encode(signed).decode()
        request = m.SessionRequest(unit_id=self.unit_id, nonce=nonce, signature=signature, lineage="")
        opened = msgspec.json.decode(await _json(way, "/v1/session", request, {}), type=m.SessionAnswer)
        self.token = opened.token

    def study(self, turn: int) -> tuple[str, bytes, dict[str, bytes]]:
        """UID, manifest and previews of a study that nobody has announced."""
        uid = f"1.2.826.{self.number}.{turn}"
        images, parts, previews = [], [], {}
        for place in range(IMAGE_COUNT):
            seed = f"{uid}.{place}".encode()
            preview = hashlib.shake_128(seed).digest(PREVIEW_BYTES)
            name, pixels = hashlib.sha256(preview).hexdigest(), hashlib.sha256(seed + b"pixels").hexdigest()
            previews[name] = preview
            parts.append(m.PartInfo(sha256=name, size_bytes=PREVIEW_BYTES, kind=m.PartKind.PREVIEW))
            parts.append(m.PartInfo(sha256=pixels, size_bytes=8_000_000, kind=m.PartKind.PIXELS))
            images.append(
                m.InstanceInfo(
                    sop_instance_uid=f"{uid}.{place}",
                    sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
                    series_instance_uid=f"{uid}.9",
                    transfer_syntax_uid="1.2.840.10008.1.2.1",
                    sha256=hashlib.sha256(seed).hexdigest(),
                    size_bytes=16_000_000,
                    pixels=pixels,
                    preview=name,
                )
            )
        info = m.StudyInfo(patient_name=f"Patient^{self.number}", patient_id=f"{self.number}-{turn}", modality="DX")
        manifest = m.Manifest(
            revision=1, expected_instance_count=IMAGE_COUNT, study=info, instances=tuple(images), parts=tuple(parts)
        )
        return uid, msgspec.json.encode(manifest), previews


async def _json(way: Connection, path: str, said: msgspec.Struct, headers: dict[str, str]) -> bytes:
    status, body = await way.ask(
        "POST", path, {"Content-Type": "application/json", **headers}, msgspec.json.encode(said)
    )
    if status != 200:
        raise RuntimeError(f"{path} was answered {status}: {body[:200]!r}")
    return body


async def _all(
    units: list[Unit], port: int, pid: int, work: Callable[[Unit, Connection], Awaitable[int]]
) -> dict[str, float]:
    """``work`` for each unit, some at once.

    Returns:
        Requests a second, all of the time, what nine of ten units' work took at most, and the gateway's processor
        time for one request, which other work on the machine does not change.
    """
    waiting, spans, count = list(units), [], 0
    begun_s, cpu_s = CLOCK.mono_s(), _cpu_s(pid)

    async def worker() -> None:
        nonlocal count
        way = Connection(port)
        with contextlib.closing(way):
            while waiting:
                unit, start_s = waiting.pop(), CLOCK.mono_s()
                done = await work(unit, way)
                count += done
                spans.append(CLOCK.mono_s() - start_s)

    await asyncio.gather(*(worker() for _ in range(min(WORKER_COUNT, len(units)))))
    took_s, ordered = CLOCK.mono_s() - begun_s, sorted(spans)
    return {
        "per_s": round(count / took_s, 1),
        "took_s": round(took_s, 1),
        "cpu_ms": round((_cpu_s(pid) - cpu_s) / count * 1000, 2),
        "p90_ms": round(ordered[int(len(ordered) * 0.9)] * 1000, 1),
    }


async def _measure(units: list[Unit], port: int, pid: int) -> dict[str, Any]:
    turn = 0

    async def join(unit: Unit, way: Connection) -> int:
        await unit.join(way)
        return 1

    async def announce(unit: Unit, way: Connection) -> int:
        uid, body, _ = unit.study(turn)
        status, said = await way.ask("PUT", f"/v1/studies/{uid}/manifest", unit.auth, body)
        assert status == 200, said
        return 1

    async def append(unit: Unit, way: Connection) -> int:
        fields = {
            **unit.auth,
            "Upload-Offset": "0",
            "Upload-Complete": "?1",
            "Content-Type": "application/partial-upload",
        }
        for name, preview in unit.study(turn)[2].items():
            status, said = await way.ask("PATCH", f"/v1/parts/{name}", fields, preview)
            assert status == 204, said
        return IMAGE_COUNT

    async def report(unit: Unit, way: Connection) -> int:
        said = StatusReport(at=utc_text(CLOCK.wall_s()), unsent_study_count=1, disk_total_bytes=10**11)
        await _json(way, "/v1/status", said, unit.auth)
        return 1

    found: dict[str, Any] = {"units": len(units), "idle_rss_mb": _rss_mb(pid)}
    found["sessions"] = await _all(units, port, pid, join)
    async with _questions_held_open(units, port):
        found["rss_with_open_questions_mb"] = _rss_mb(pid)
        for name, work in (("manifests", announce), ("appends", append), ("reports", report)):
            found[name] = await _all(units, port, pid, work)
        turn = 1
        found["manifests_again"] = await _all(units, port, pid, announce)
        found["rss_after_mb"] = _rss_mb(pid)
    return found


@contextlib.asynccontextmanager
async def _questions_held_open(units: list[Unit], port: int) -> AsyncIterator[None]:
    """Every unit waits for news on a connection of its own, as long as the block lasts."""
    ways = [Connection(port) for _ in units]

    async def wait(unit: Unit, way: Connection) -> None:
        while True:
            await way.ask("GET", "/v1/inbox?after=0&wait=30&about=answers", unit.auth)

    asked = [asyncio.create_task(wait(unit, way)) for unit, way in zip(units, ways, strict=True)]
    try:
        yield
    finally:
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        for way in ways:
            way.close()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return round(int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024, 1)


def run(folder: Path, unit_count: int) -> dict[str, Any]:
    """One gateway of its own with so many enrolled units."""
    folder.mkdir(parents=True)
    port, toml = free_port(), folder / "central.toml"
    toml.write_text(
        f'[centre]\ndata_dir = "{folder}/data"\n[pacs]\nenabled = false\n'
        f"[gateway]\nport = {port}\n"
        f"limits = {{ connection_count_max = {unit_count * 2 + 100}, free_bytes_floor = 0 }}\n"
        '[handover]\nkind = "dicomweb"\nname = "nobody"\nurl = "http://127.0.0.1:9/dicom-web"\n',
        encoding="utf-8",
    )
    units = [Unit(number) for number in range(1, unit_count + 1)]
    database = open_database(load_central(toml))
    with database.write() as connection:
        for unit in units:
            public = unit.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            add_unit(connection, unit.unit_id, f"unit-{unit.number}", public, utc_text(CLOCK.wall_s()))
    database.close()
    log_file = folder / "gateway.log"
    argv = [sys.executable, "-m", "central.gateway", "--config", str(toml)]
    process = spawn(ChildSpec("gateway", argv, log_file=log_file))
    try:
        _wait_until_ready(process, log_file)
        return asyncio.run(_measure(units, port, process.pid))
    finally:
        end_process(process, 30.0)


def _wait_until_ready(process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline_mono_s = CLOCK.mono_s() + START_S_MAX
    while "gateway ready" not in log_file.read_text(encoding="utf-8"):
        if process.poll() is not None or CLOCK.mono_s() > deadline_mono_s:
            raise RuntimeError(f"the gateway did not start, see {log_file}")


def main(arguments: list[str]) -> int:
    """Figures for a tenth, a third and all of the units, one JSON object a line."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--units", type=int, default=1000)
    options = parser.parse_args(arguments)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = options.units * 4 + 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    with tempfile.TemporaryDirectory(prefix="qafila-fleet-", dir="/var/tmp") as place:
        for count in (max(1, options.units // 10), max(1, options.units // 3), options.units):
            print(json.dumps(run(Path(place) / str(count), count)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
