"""A gateway in a thread that keeps its word, unless a test replaces what one of its routes answers.

Only for tests of lies and of faults that the real gateway does not have; everything else runs against the real one.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import trustme
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.identity import Identity, write_identity, write_key
from sync.adapters.gateway.keys import new_key
from sync.wire import messages as m
from sync.wire.proofs import receipt_message
from tests.support.gateway_unit import NAME, EnrolledUnit, InlineEncoder

UNIT_ID = "11111111-2222-3333-4444-555555555555"
EPOCH = "first-life"
VERIFIED_AT = "2026-11-25T10:00:00Z"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; the body is read whole, and unpacked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def decode(self, kind: type[Any]) -> Any:
        """The body as a message."""
        return msgspec.json.decode(self.body, type=kind)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out; ``cut`` ends the connection instead."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    cut: bool = False


def said(message: msgspec.Struct) -> Reply:
    """A message."""
    return Reply(body=msgspec.json.encode(message))


def refusal(status: int, code: str, **headers: str) -> Reply:
    """A problem document of ours."""
    body = msgspec.json.encode({"type": f"urn:qafila:problem:{code}", "title": "no", "status": status, "detail": "No."})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, body, named, "application/problem+json")


def at(offset: int, complete: bool = False, status: int = 204) -> Reply:
    """Where a part stands."""
    return Reply(status, b"", {"Upload-Offset": str(offset), "Upload-Complete": "?1" if complete else "?0"})


Answering = Callable[[Asked], "Reply | None"]


class FakeGateway:
    """Listens on loopback.

    Attributes:
        asked: Every request so far.
        parts: What it has of each part.
        uncompleted: Parts that it does not know to be whole before the next append, whatever it has of them.
        instances: By SOP Instance UID, what manifests said.
        epoch: What it calls its life.
        tells_receipts: Receipts come by the inbox, as soon as an instance is whole.
        replace: By ``METHOD /first/words``, asked before the honest answer; ``None`` leaves it to that.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.asked: list[Asked] = []
        self.parts: dict[str, bytearray] = {}
        self.uncompleted: set[str] = set()
        self.sizes: dict[str, int] = {}
        self.instances: dict[str, tuple[str, m.InstanceInfo]] = {}
        self.inbox: list[m.InboxEntry] = []
        self.epoch = EPOCH
        self.tells_receipts = True
        self.replace: dict[str, Answering] = {}
        self.closing = threading.Event()
        self._lock = threading.RLock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                fake._serve(self)

            do_POST = do_PUT = do_PATCH = do_HEAD = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                return  # the client went away; that is what many tests are about

        self._server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self.url = f"http{'s' if context else ''}://localhost:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> FakeGateway:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def public_key(self) -> str:
        return b64encode(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def unit(self, folder: Path, ca_file: str = "") -> EnrolledUnit:
        """A unit that it knows; nothing was said yet."""
        made = EnrolledUnit(folder, InlineEncoder(folder / "spool"))
        write_key(made.config.identity_dir, new_key())
        write_identity(
            made.config.identity_dir,
            NAME,
            Identity(unit_id=UNIT_ID, centre_public_key=self.public_key, url=self.url),
        )
        return made

    def count(self, words: str) -> int:
        """Requests so far that begin with these words."""
        return sum(f"{one.method} {one.path}".startswith(words) for one in self.asked)

    def receipt(self, of: str, /, **other: Any) -> m.SignedReceipt:
        """What it signs of an instance; ``other`` changes the statement, ``key`` who signs it."""
        study, info = self.instances[of]
        key = other.pop("key", self.key)
        statement = msgspec.json.encode(
            m.Receipt(
                **{
                    "unit_id": UNIT_ID,
                    "study_instance_uid": study,
                    "sop_instance_uid": of,
                    "sha256": info.sha256,
                    "size_bytes": info.size_bytes,
                    "method": "wado",
                    "pacs": "pacs",
                    "verified_at": VERIFIED_AT,
                    "epoch": self.epoch,
                    **other,
                }
            )
        )
        return m.SignedReceipt(
            statement=b64encode(statement).decode(), signature=b64encode(key.sign(receipt_message(statement))).decode()
        )

    def has_all(self, info: m.InstanceInfo) -> bool:
        """Whether the parts of an instance are whole."""
        names = [name for name in (info.header, info.pixels) if name]
        return bool(names) and all(self.is_whole(name) for name in names)

    def is_whole(self, name: str) -> bool:
        here = name in self.sizes and name not in self.uncompleted
        return here and len(self.parts.get(name, b"")) == self.sizes[name]

    # --- the honest answers ----------------------------------------------------------------------------------------

    def _answer(self, asked: Asked) -> Reply:
        path = asked.path.split("?")[0]
        if path == "/v1/session/nonce":
            return said(m.NonceAnswer(nonce=b64encode(bytes(32)).decode()))
        if path == "/v1/session":
            return said(
                m.SessionAnswer(token="token", session_id="one", expires_in_s=60, epoch=self.epoch, inbox_head=0)
            )
        if asked.headers.get("Authorization") != "Bearer token":
            return refusal(401, "no-token")
        if path.endswith("/manifest"):
            return self._manifest(asked, path.split("/")[3])
        if path == "/v1/inbox":
            after = int(asked.path.split("after=")[1].split("&")[0])
            entries = tuple(entry for entry in self.inbox if entry.seq > after)
            return said(m.Inbox(epoch=self.epoch, head=len(self.inbox), entries=entries))
        if path == "/v1/check":
            items = {
                item.sop_instance_uid: m.CheckResult(state="verified", receipt=self.receipt(item.sop_instance_uid))
                if item.sop_instance_uid in self.instances
                else m.CheckResult(state="absent")
                for item in asked.decode(m.CheckRequest).items
            }
            return said(m.CheckAnswer(epoch=self.epoch, items=items))
        return self._part(asked, path)

    def _manifest(self, asked: Asked, study: str) -> Reply:
        manifest = asked.decode(m.Manifest)
        for part in manifest.parts:
            self.sizes[part.sha256] = part.size_bytes
            self.parts.setdefault(part.sha256, bytearray())
        for info in manifest.instances:
            known = self.instances.get(info.sop_instance_uid)
            if known is None or info.header:
                self.instances[info.sop_instance_uid] = (study, info)
        return said(self.manifest_answer(manifest))

    def manifest_answer(self, manifest: m.Manifest) -> m.ManifestAnswer:
        """What it has of what a manifest names."""
        instances = {}
        for named in manifest.instances:
            info = self.instances[named.sop_instance_uid][1]
            whole = self.has_all(info)
            instances[named.sop_instance_uid] = m.InstanceAnswer(
                state=m.InstanceState.VERIFIED if whole else m.InstanceState.ANNOUNCED,
                header_known=self.is_whole(info.header),
                pixels_known=self.is_whole(info.pixels),
                receipt=self.receipt(named.sop_instance_uid) if whole else None,
            )
        parts = {
            part.sha256: m.PartState(offset=len(self.parts[part.sha256]), complete=self.is_whole(part.sha256))
            for part in manifest.parts
        }
        return m.ManifestAnswer(revision=manifest.revision, parts=parts, instances=instances)

    def _part(self, asked: Asked, path: str) -> Reply:
        if asked.method == "POST":
            name = b64decode(asked.headers["Repr-Digest"].split(":")[1]).hex()
            self.sizes[name] = int(asked.headers["Upload-Length"])
            self.parts[name] = bytearray(asked.body)
            return at(len(asked.body), self.is_whole(name), 201)
        name = path.rsplit("/", 1)[1]
        if name not in self.parts:
            return refusal(404, "not-found")
        have = self.parts[name]
        if asked.method == "PATCH":
            if int(asked.headers["Upload-Offset"]) != len(have):
                return at(len(have), status=409)
            have += asked.body
            self.uncompleted.discard(name)
            if self.is_whole(name) and hashlib.sha256(have).hexdigest() != name:
                have.clear()
                return at(0, status=460)
            self._tell_receipts(name)
        return at(len(have), self.is_whole(name))

    def _tell_receipts(self, name: str) -> None:
        for uid, (study, info) in self.instances.items():
            if self.tells_receipts and name in (info.header, info.pixels) and self.has_all(info):
                self.inbox.append(
                    m.InboxEntry(
                        seq=len(self.inbox) + 1,
                        kind=m.InboxKind.RECEIPT.value,
                        study_instance_uid=study,
                        sop_instance_uid=uid,
                        sha256=info.sha256,
                        receipt=self.receipt(uid),
                    )
                )

    # --- HTTP ------------------------------------------------------------------------------------------------------

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        asked = Asked(handler.command, handler.path, dict(handler.headers), _body(handler))
        with self._lock:
            self.asked.append(asked)
            words = f"{asked.method} {asked.path}"
            lie = next((answer for start, answer in self.replace.items() if words.startswith(start)), None)
        # A replaced answer may wait for the test; the honest ones are given one at a time.
        reply = lie(asked) if lie is not None else None
        if reply is None:
            with self._lock:
                reply = self._answer(asked)
        if reply.cut:
            handler.close_connection = True
            handler.connection.close()
            return
        handler.send_response_only(reply.status)
        handler.send_header("Content-Type", reply.content_type)
        known = {m.EPOCH_HEADER: self.epoch, m.INBOX_HEADER: str(len(self.inbox)), **reply.headers}
        for name, value in known.items():
            handler.send_header(name, value)
        if handler.command != "HEAD" and reply.status != 204:
            handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(reply.body)


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "").lower() == "chunked":
        body = bytearray()
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        raw = bytes(body)
    else:
        raw = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
    if handler.headers.get("Content-Encoding") == "zstd":
        return zstandard.ZstdDecompressor().decompress(raw)
    return raw


def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """For a server called ``localhost`` with a certificate of this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context
