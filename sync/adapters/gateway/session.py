"""Who the unit is at the gateway, and its session there.

The session's token and number lie beside the identity, written durably *before* they are used first: the centre tells
two copies of one unit apart by which session each says it had last, so this unit must never forget one that it used.
"""

from __future__ import annotations

import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.domain.failure import Failure
from appliance.identity import Identity, IdentityError, read_identity, read_key, replace_file, session_file
from appliance.logging import log
from sync.adapters.failures import Failed, failure
from sync.adapters.gateway.answers import refusal_of
from sync.adapters.gateway.flow import Answer, Flow
from sync.adapters.gateway.keys import from_base64, private_key, to_base64
from sync.wire.messages import NonceAnswer, NonceRequest, SessionAnswer, SessionRequest
from sync.wire.proofs import session_message

JSON = {"Content-Type": "application/json"}
NONCE_BYTES = 32


class SavedSession(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives the process; ``inbox_seen`` and ``epoch`` are what the unit remembers of the centre."""

    token: str = ""
    session_id: str = ""
    epoch: str = ""
    inbox_seen: int = 0
    answers_seen: int = 0
    """How far the inbox was read for what people said; that has a cursor of its own."""


class Session:
    """One destination's session; thread-safe.

    Attributes:
        identity: As enrolment gave it.
    """

    def __init__(self, identity_dir: Path, destination: str, backoff_s_max: float) -> None:
        """Read what is there.

        Raises:
            Failed: ``not-enrolled``, or ``identity-unusable`` when a file of it is damaged.
        """
        self._path = session_file(identity_dir, destination)
        self._backoff_s_max = backoff_s_max
        self._lock = threading.Lock()
        try:
            identity, pem = read_identity(identity_dir, destination), read_key(identity_dir)
            if identity is None or pem is None:
                raise Failed(failure("not-enrolled"))
            self.identity: Identity = identity
            self._key: Ed25519PrivateKey = private_key(pem)
            self._saved = _load(self._path)
        except (IdentityError, OSError, ValueError) as error:
            log("sync.gateway", "identity cannot be used", destination=destination, why=error)
            raise Failed(failure("identity-unusable")) from error
        self.centre_key = from_base64(self.identity.centre_public_key)

    @property
    def remembered(self) -> SavedSession:
        """What is known now."""
        return self._saved

    def token(self, flow: Flow) -> str:
        """A bearer token; opens a session when there is none, one thread for all.

        Raises:
            Failed: As ``Flow.exchange``; ``unit-revoked``, ``unit-copied`` or ``session-refused`` when the centre does
                not let the unit in.
        """
        with self._lock:
            if not self._saved.token:
                self._open(flow)
            return self._saved.token

    def drop(self, token: str) -> None:
        """The centre does not know this token any more; another one that was opened meanwhile stays."""
        with self._lock:
            if self._saved.token == token:
                self._saved = msgspec.structs.replace(self._saved, token="")

    def forget_token(self, *, answers_seen: int) -> None:
        """Open a session anew before the next request, in which the centre hears how much the unit has read."""
        self.note(answers_seen=answers_seen)
        self.drop(self._saved.token)

    def note(self, *, epoch: str | None = None, inbox_seen: int | None = None, answers_seen: int | None = None) -> None:
        """Remember something of the centre. A hint: should a power cut take it, the centre tells it again."""
        with self._lock:
            now = msgspec.structs.replace(
                self._saved,
                epoch=self._saved.epoch if epoch is None else epoch,
                inbox_seen=self._saved.inbox_seen if inbox_seen is None else inbox_seen,
                answers_seen=self._saved.answers_seen if answers_seen is None else answers_seen,
            )
            if now == self._saved:
                return
            self._saved = now
            try:
                replace_file(self._path, msgspec.json.encode(now))
            except OSError as error:
                log("sync.gateway", "session not noted", errno=error.errno)

    def _open(self, flow: Flow) -> None:
        unit_id, saved = self.identity.unit_id, self._saved
        asked = msgspec.json.encode(NonceRequest(unit_id=unit_id))
        answer = flow.exchange("POST", "/v1/session/nonce", JSON, content=asked)
        _check(answer, self._backoff_s_max)
        nonce = answer.decode(NonceAnswer).nonce
        raw_nonce = from_base64(nonce)
        if len(raw_nonce) != NONCE_BYTES:
            raise Failed(failure("answer-unusable"))
        signature = self._key.sign(session_message(raw_nonce, unit_id, saved.session_id))
        request = SessionRequest(
            unit_id=unit_id,
            nonce=nonce,
            signature=to_base64(signature),
            lineage=saved.session_id,
            inbox_seen=max(saved.inbox_seen, saved.answers_seen),
            epoch_seen=saved.epoch,
            software=_software(),
        )
        answer = flow.exchange("POST", "/v1/session", JSON, content=msgspec.json.encode(request))
        _check(answer, self._backoff_s_max)
        opened = answer.decode(SessionAnswer)
        is_first = not saved.session_id
        now = SavedSession(
            token=opened.token,
            session_id=opened.session_id,
            epoch=opened.epoch,
            # What the centre told before the first session is told again by manifests; no need to read it all.
            inbox_seen=opened.inbox_head if is_first else saved.inbox_seen,
            answers_seen=saved.answers_seen,
        )
        try:
            replace_file(self._path, msgspec.json.encode(now))
        except OSError as error:
            log("sync.gateway", "session not noted, so not used", errno=error.errno)
            raise Failed(failure("session-unnoted")) from error
        self._saved = now
        log("sync.gateway", "session opened", destination=self._path.stem)


def _load(path: Path) -> SavedSession:
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedSession)
    except FileNotFoundError:
        return SavedSession()


def _check(answer: Answer, backoff_s_max: float) -> None:
    if answer.status == 200:
        return
    if answer.status in (400, 401):
        raise Failed(failure("session-refused"))
    raise Failed(refusal_of_unit(answer) or refusal_of(answer, backoff_s_max))


def refusal_of_unit(answer: Answer) -> Failure | None:
    """What a 403 says of the unit; ``None`` for every other answer."""
    if answer.status != 403:
        return None
    code = problem_code(answer)
    return failure("unit-copied" if code == "lineage" else "unit-revoked" if code == "revoked" else "session-refused")


def problem_code(answer: Answer) -> str:
    """The last word of a problem document's type; empty when the body is none."""
    try:
        problem = msgspec.json.decode(answer.body, type=_ProblemType)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return problem.type.rpartition(":")[2].rpartition("#")[2]


class _ProblemType(msgspec.Struct):
    type: str = ""


def _software() -> str:
    try:
        return f"qafila {version('qafila')}"
    except PackageNotFoundError:
        return "qafila"
