"""A new unit: a one-time code that both sides prove to know, without either telling it."""

from __future__ import annotations

import hmac
import secrets
import uuid

from sqlalchemy import Connection

from appliance.clock import Clock, utc_text
from appliance.logging import log
from central.gateway.auth import raw_bytes, shown
from central.gateway.keys import CentreKeys
from central.gateway.problems import Refusal, bad_request, unauthorized
from central.limits import GatewayLimits
from central.store import units as rows
from central.store.database import Database
from central.store.units import CodeRow
from sync.wire.messages import EnrolAnswer, EnrolRequest
from sync.wire.proofs import CODE_ALPHABET, CODE_LENGTH, centre_proof, code_id, unit_proof

KEY_BYTES = 32


class EnrolError(Exception):
    """No code can be made; the text says why and what to do."""


def make_code(connection: Connection, unit_name: str, now_wall_s: float, valid_s: float) -> str:
    """A new one-time code for a unit of this name, in plain form.

    Raises:
        EnrolError: If a unit of this name is enrolled and not revoked.
    """
    known = rows.unit_named(connection, unit_name)
    if known is not None and not known.revoked:
        raise EnrolError(
            f"There is a unit {unit_name} already. Nothing was changed. Revoke it first, or choose another name."
        )
    rows.drop_old_codes(connection, int(now_wall_s))
    while True:
        code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
        at = utc_text(now_wall_s)
        if rows.add_code(connection, code_id(code), code, unit_name, at, int(now_wall_s + valid_s)):
            return code


class Enrolment:
    """``POST /v1/enrol``."""

    def __init__(self, database: Database, keys: CentreKeys, limits: GatewayLimits, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._limits = limits
        self._clock = clock

    async def enrol(self, request: EnrolRequest) -> EnrolAnswer:
        """Take a unit in; the same request again gets the same answer while the code's time runs.

        Raises:
            Refusal: 400 for what is no key, 403 for everything about the code, without saying which.
        """
        public_key = raw_bytes(request.public_key)
        if len(public_key) != KEY_BYTES:
            raise bad_request("public_key is not an Ed25519 key.")
        answer = await self._database.writing(self._enrol, request, public_key)
        if isinstance(answer, Refusal):
            raise answer
        log("gateway.enrol", "unit enrolled", unit=request.unit_name)
        return answer

    def _enrol(self, connection: Connection, request: EnrolRequest, public_key: bytes) -> EnrolAnswer | Refusal:
        code = rows.code_row(connection, request.code_id)
        if code is None or not self._is_open(code, request.unit_name, public_key):
            return _refused()
        expected = unit_proof(code.code, request.unit_name, public_key)
        if not hmac.compare_digest(expected, raw_bytes(request.proof)):
            rows.note_wrong_proof(connection, code.code_id)
            log("gateway.enrol", "wrong proof", code_id=code.code_id)
            return _refused()
        unit_id = code.unit_id or self._take_in(connection, code, public_key)
        key, recipient = self._keys.public, self._keys.age_recipient
        return EnrolAnswer(
            unit_id=unit_id,
            centre_public_key=shown(key),
            centre_age_recipient=recipient,
            proof=shown(centre_proof(code.code, unit_id, key, public_key, recipient)),
        )

    def _is_open(self, code: CodeRow, unit_name: str, public_key: bytes) -> bool:
        used_by_another = code.used_by_key is not None and code.used_by_key != public_key
        return (
            code.unit_name == unit_name
            and code.expires_wall_s >= self._clock.wall_s()
            and code.wrong_count < self._limits.enrol_wrong_count_max
            and not used_by_another
        )

    def _take_in(self, connection: Connection, code: CodeRow, public_key: bytes) -> str:
        at = utc_text(self._clock.wall_s())
        older = rows.unit_named(connection, code.unit_name)
        if older is not None:
            rows.rename_unit(connection, older.unit_id, f"{older.name} until {at}")
        unit_id = str(uuid.uuid4())
        rows.add_unit(connection, unit_id, code.unit_name, public_key, at)
        rows.use_code(connection, code.code_id, unit_id, public_key, at)
        return unit_id


def _refused() -> Refusal:
    detail = "The code is not good for this name: wrong, used, or too old. Nothing was changed. Ask for a new one."
    return unauthorized("enrolment", detail, 403)
