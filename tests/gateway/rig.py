"""A gateway in a process of its own, a PACS that does as it is told, and a unit that speaks raw HTTP.

None of it goes through code of the unit: what is asserted here is the protocol as it is written down.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydicom import dcmread

from appliance.clock import SystemClock
from appliance.supervisor import ChildSpec, end_process, spawn
from central.config import CentralConfig, load_central
from central.gateway.enrol import make_code
from central.store.opening import open_database
from sync.wire import messages as m
from sync.wire.proofs import centre_proof, code_id, receipt_message, session_message, unit_proof
from tests.gateway.pictures import Parted, file_of, noisy_picture, part_up, picture_in_parts, sha256
from tests.support.peers import Answer, HttpPeer, Request, qido_answer, stow_answer, wado_answer
from tests.support.ports import free_ports
from tests.support.world import query, wait_for

__all__ = [
    "Gateway",
    "Pacs",
    "Parted",
    "Unit",
    "file_of",
    "noisy_picture",
    "part_up",
    "picture_in_parts",
    "running_gateway",
    "sha256",
]

CLOCK = SystemClock()
WAIT_S = 60.0


# --- the PACS ------------------------------------------------------------------------------------------------------


@dataclass
class Pacs:
    """Speaks just enough DICOMweb; keeps what it is given unless told otherwise."""

    held: dict[str, bytes] = field(default_factory=dict)
    away: bool = False
    """Answers 503 to everything."""
    refuse: dict[str, int] = field(default_factory=dict)
    """SOP Instance UIDs that it fails, with their reason."""
    stored_count: int = 0
    peer: HttpPeer = field(init=False)

    def __post_init__(self) -> None:
        self.peer = HttpPeer(self._answer)
        self._lock = threading.Lock()

    def _answer(self, request: Request) -> Answer:
        if self.away:
            return Answer(503)
        path = request.path.split("?")[0]
        if request.method == "POST":
            return self._store(request)
        if path.endswith("/instances"):
            asked = re.search(r"SOPInstanceUID=([0-9.,%C]+)", request.path)
            uids = re.split(r",|%2C", asked[1]) if asked else []
            return qido_answer([uid for uid in uids if uid in self.held])
        if path.endswith("/studies"):
            return qido_answer([])
        uid = path.rsplit("/", 1)[1]
        return wado_answer(self.held[uid]) if uid in self.held else Answer(404)

    def _store(self, request: Request) -> Answer:
        stored, failed = {}, {}
        for content in request.instances:
            uid = sop_instance_uid(content)
            if uid in self.refuse:
                failed[uid] = self.refuse[uid]
                continue
            with self._lock:
                self.held.setdefault(uid, content)
                self.stored_count += 1
            stored[uid] = 0
        return stow_answer(stored, failed, 200 if stored else 409)


def sop_instance_uid(part10: bytes) -> str:
    """Of a file, read with pydicom."""
    return str(dcmread(io.BytesIO(part10), stop_before_pixels=True).SOPInstanceUID)


# --- the gateway ---------------------------------------------------------------------------------------------------


@dataclass
class Gateway:
    """``python -m central.gateway`` on a folder; may be killed and started again."""

    folder: Path
    toml: Path
    port: int
    scheme: str = "http"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    @property
    def config(self) -> CentralConfig:
        return load_central(self.toml)

    @property
    def log_file(self) -> Path:
        return self.folder / "gateway.log"

    def log_text(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def start(self) -> Gateway:
        """Returns when it listens."""
        seen = self.log_text().count("gateway ready") if self.log_file.exists() else 0
        argv = [sys.executable, "-m", "central.gateway", "--config", str(self.toml)]
        self.process = spawn(ChildSpec("gateway", argv, log_file=self.log_file))
        process = self.process

        def ready_or_dead() -> bool:
            return self.log_text().count("gateway ready") > seen or process.poll() is not None

        wait_for(ready_or_dead, f"the gateway, see {self.log_file}")
        assert process.poll() is None, self.log_text()[-3000:]
        return self

    def stop(self) -> int:
        """As systemd does it; its exit code."""
        assert self.process is not None
        end_process(self.process, 30.0)
        code = self.process.returncode
        self.process = None
        return code

    def kill(self) -> None:
        """As ``kill -9`` does it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def code(self, name: str, valid_s: float = 3600.0) -> str:
        """A one-time code."""
        database = open_database(self.config)
        try:
            with database.write() as connection:
                return make_code(connection, name, CLOCK.wall_s(), valid_s)
        finally:
            database.close()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of its SQLite database, read only."""
        path = self.config.database_path
        assert path is not None
        return query(path, sql)


@contextmanager
def running_gateway(
    folder: Path, pacs_url: str, *, extra: str = "", limits: Mapping[str, float] | None = None
) -> Iterator[Gateway]:
    """A started gateway that hands over to ``pacs_url``.

    Args:
        folder: For all its files.
        pacs_url: Base of a DICOMweb service.
        extra: More lines of the ``[gateway]`` table.
        limits: Bounds that differ from the defaults.
    """
    gateway = make_gateway(folder, pacs_url, extra=extra, limits=limits).start()
    try:
        yield gateway
    finally:
        if gateway.process is not None:
            gateway.stop()


def make_gateway(folder: Path, pacs_url: str, *, extra: str = "", limits: Mapping[str, float] | None = None) -> Gateway:
    """Write its configuration; nothing is started."""
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    bounds = {"free_bytes_floor": 0, "backoff_s_max": 0.2, "backoff_s_first": 0.05, **(limits or {})}
    inline = ", ".join(f"{key} = {value}" for key, value in bounds.items())
    toml = folder / "central.toml"
    toml.write_text(
        f'[centre]\ndata_dir = "{folder}/data"\n[pacs]\nenabled = false\n'
        f"[gateway]\nport = {port}\nlimits = {{ {inline} }}\n{extra}\n"
        f'[handover]\nkind = "dicomweb"\nname = "pacs"\nurl = "{pacs_url}"\n',
        encoding="utf-8",
    )
    return Gateway(folder, toml, port, "https" if "certificate_file" in extra else "http")


# --- the unit ------------------------------------------------------------------------------------------------------


class Unit:
    """A unit as the protocol page describes one; every answer comes back as it is."""

    def __init__(self, url: str, name: str = "van-1", **client: Any) -> None:
        self.name = name
        self.http = httpx.Client(base_url=url, timeout=WAIT_S, trust_env=False, **client)
        self.key = Ed25519PrivateKey.generate()
        self.unit_id = ""
        self.centre_key = b""
        self.token = ""
        self.lineage = ""
        self.epoch = ""
        self.revision = 0

    def __enter__(self) -> Unit:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def join(self, gateway: Gateway) -> Unit:
        """Enrol and open a session."""
        answer = self.enrol(gateway.code(self.name))
        assert answer.status_code == 200, answer.text
        opened = self.open_session()
        assert opened.status_code == 200, opened.text
        return self

    def enrol(self, code: str, proof: bytes | None = None) -> httpx.Response:
        """``POST /v1/enrol``; a good answer is checked and taken over."""
        request = m.EnrolRequest(
            code_id=code_id(code),
            unit_name=self.name,
            public_key=b64(self.public_key),
            proof=b64(proof if proof is not None else unit_proof(code, self.name, self.public_key)),
        )
        answer = self.http.post("/v1/enrol", content=msgspec.json.encode(request))
        if answer.status_code == 200:
            taken = msgspec.json.decode(answer.content, type=m.EnrolAnswer)
            self.unit_id, self.centre_key = taken.unit_id, b64decode(taken.centre_public_key)
            expected = centre_proof(code, self.unit_id, self.centre_key, self.public_key, taken.centre_age_recipient)
            assert b64decode(taken.proof) == expected
        return answer

    def nonce(self) -> str:
        answer = self.http.post("/v1/session/nonce", content=msgspec.json.encode(m.NonceRequest(unit_id=self.unit_id)))
        return msgspec.json.decode(answer.content, type=m.NonceAnswer).nonce

    def open_session(self, *, nonce: str = "", inbox_seen: int = 0, epoch_seen: str | None = None) -> httpx.Response:
        """``POST /v1/session``; a good answer is taken over."""
        nonce = nonce or self.nonce()
        signed = self.key.sign(session_message(b64decode(nonce), self.unit_id, self.lineage))
        request = m.SessionRequest(
            unit_id=self.unit_id,
            nonce=nonce,
            signature=b64(signed),
            lineage=self.lineage,
            inbox_seen=inbox_seen,
            epoch_seen=self.epoch if epoch_seen is None else epoch_seen,
        )
        answer = self.http.post("/v1/session", content=msgspec.json.encode(request))
        if answer.status_code == 200:
            opened = msgspec.json.decode(answer.content, type=m.SessionAnswer)
            self.token, self.lineage, self.epoch = opened.token, opened.session_id, opened.epoch
        return answer

    def announce(self, *studies: Parted, **more: Any) -> m.ManifestAnswer:
        """A manifest of instances of one study, that must be taken."""
        answer = self.put_manifest(*studies, **more)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=m.ManifestAnswer)

    def put_manifest(self, *parted: Parted, **more: Any) -> httpx.Response:
        self.revision += 1
        manifest = m.Manifest(
            revision=more.pop("revision", self.revision),
            expected_instance_count=len(parted),
            instances=tuple(one.instance for one in parted),
            parts=tuple({part.sha256: part for one in parted for part in one.infos}.values()),
            **more,
        )
        return self.http.put(
            f"/v1/studies/{parted[0].study_uid}/manifest", content=msgspec.json.encode(manifest), headers=self.auth
        )

    def head(self, sha256: str) -> httpx.Response:
        return self.http.head(f"/v1/parts/{sha256}", headers=self.auth)

    def offset(self, sha256: str) -> int:
        """Where the gateway says that a part stands."""
        answer = self.head(sha256)
        assert answer.status_code == 204, answer.status_code
        return int(answer.headers["Upload-Offset"])

    def append(
        self, sha256: str, data: bytes | Iterable[bytes], offset: int = 0, *, complete: bool = False, **headers: str
    ) -> httpx.Response:
        """``PATCH``; iterables go chunked."""
        fields = {
            **self.auth,
            "Upload-Offset": str(offset),
            "Upload-Complete": "?1" if complete else "?0",
            "Content-Type": "application/partial-upload",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self.http.patch(f"/v1/parts/{sha256}", content=data, headers=fields)

    def send_part(self, data: bytes) -> None:
        """A whole part that must be taken."""
        answer = self.append(sha256(data), data, self.offset(sha256(data)), complete=True)
        assert answer.status_code == 204, answer.text
        assert answer.headers["Upload-Complete"] == "?1"

    def send(self, parted: Parted) -> None:
        """Everything of an announced instance that the gateway asks for."""
        answer = self.announce(parted)
        for name, content in parted.contents.items():
            state = answer.parts[name]
            if not (state.complete or state.not_needed):
                done = self.append(name, content[state.offset :], state.offset, complete=True)
                assert done.status_code == 204, done.text

    def inbox(self, after: int = 0, wait: int = 0) -> m.Inbox:
        answer = self.http.get("/v1/inbox", params={"after": after, "wait": wait}, headers=self.auth)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=m.Inbox)

    def wait_for_entries(self, count: int) -> list[m.InboxEntry]:
        """The first ``count`` entries of its inbox, by long polls, through a gateway that restarts."""
        entries: list[m.InboxEntry] = []
        deadline_mono_s = CLOCK.mono_s() + WAIT_S
        while len(entries) < count:
            assert CLOCK.mono_s() < deadline_mono_s, f"only {len(entries)} of {count} entries came"
            with contextlib.suppress(httpx.TransportError):
                entries += self.inbox(entries[-1].seq if entries else 0, wait=5).entries
        return entries

    def receipt(self, signed: m.SignedReceipt | None) -> m.Receipt:
        """The receipt, once its signature was checked with the centre's key."""
        assert signed is not None
        statement = b64decode(signed.statement)
        key = Ed25519PublicKey.from_public_bytes(self.centre_key)
        key.verify(b64decode(signed.signature), receipt_message(statement))
        return msgspec.json.decode(statement, type=m.Receipt)

    def check(self, *parted: Parted) -> m.CheckAnswer:
        items = tuple(
            m.CheckItem(
                study_instance_uid=one.study_uid,
                sop_instance_uid=one.instance.sop_instance_uid,
                sha256=one.instance.sha256,
            )
            for one in parted
        )
        content = msgspec.json.encode(m.CheckRequest(items=items))
        answer = self.http.post("/v1/check", content=content, headers=self.auth)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=m.CheckAnswer)


def b64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def problem(answer: httpx.Response) -> dict[str, Any]:
    """A refusal's document, which every refusal must be."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    document: dict[str, Any] = json.loads(answer.content)
    assert document["status"] == answer.status_code
    assert document["detail"].endswith((".", "!"))
    return document
