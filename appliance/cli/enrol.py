"""``qafila unit enrol``: make this unit known to a gateway, with a one-time code that neither side tells.

Safe to repeat: the key is made once, and a centre that heard the request and whose answer was lost gives the same
answer again.
"""

from __future__ import annotations

import argparse
import hmac
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from appliance import handed
from appliance.cli.exits import ENVIRONMENT, FINE, NEEDS_PERSON, USAGE, CliError
from appliance.cli.options import Subparsers, add_options
from appliance.clock import SystemClock
from appliance.config import GatewayDestination, UnitConfig, load_unit
from appliance.identity import Identity, IdentityError, read_identity, read_key, session_file, write_identity, write_key
from appliance.logging import log

if TYPE_CHECKING:
    from sync.wire.messages import EnrolAnswer, EnrolRequest

UNIT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KEY_BYTES = 32


def add(actions: Subparsers) -> None:
    """Register ``unit enrol``."""
    enrol = actions.add_parser("enrol", help="make this unit known to a gateway, with the centre's one-time code")
    add_options(enrol)
    enrol.add_argument("--destination", default="", help="which one (default: the only gateway there is)")
    source = enrol.add_mutually_exclusive_group(required=True)
    source.add_argument("--code", help="the code from the centre, XXXX-XXXX-XXXX-XXXX")
    source.add_argument(
        "--handed",
        action="store_true",
        help="the code that the first boot left for it; used up, also when it is refused",
    )
    enrol.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    config = load_unit(arguments.config)
    if arguments.handed:
        return _use_handed(config, arguments.destination)
    table = _gateway(config, arguments.destination)
    identity = enrol(config, table, arguments.code)
    if arguments.json:
        print(json.dumps({"destination": table.name, "unit_id": identity.unit_id, "name": config.unit.name}, indent=2))
    else:
        print(
            f"This unit is now known at {table.name} as {config.unit.name!r}. A unit that runs goes on by itself; "
            "'qafila doctor' says whether the link is up."
        )
    return FINE


def _use_handed(config: UnitConfig, destination: str) -> int:
    """A code of no use is gone, and its sentence waits for people; a centre that was not reached is no verdict."""
    try:
        enrol(config, _gateway(config, destination), handed.code(config.handed_dir))
    except CliError as error:
        if error.exit_code == ENVIRONMENT:
            log("unit.enrol", "not yet", why=error.code)
            return FINE
        log("unit.enrol", "refused", why=error.code)
        handed.settle_code(config.handed_dir, error.sentence)
        return FINE
    handed.settle_code(config.handed_dir)
    log("unit.enrol", "enrolled", unit=config.unit.name)
    return FINE


def _gateway(config: UnitConfig, name: str) -> GatewayDestination:
    gateways = [table for table in config.destination if isinstance(table, GatewayDestination)]
    found = [table for table in gateways if table.name == name or not name]
    if len(found) == 1:
        return found[0]
    known = ", ".join(table.name for table in gateways) or "none"
    if name:
        sentence = f"No destination of kind 'gateway' is called {name!r} in this configuration; there is: {known}."
    elif not gateways:
        sentence = "This configuration has no destination of kind 'gateway'; only there a unit is enrolled."
    else:
        sentence = f"There are several gateways: {known}. Say which one with --destination."
    raise CliError(f"{sentence} Nothing was changed.", USAGE, "no-such-gateway")


def enrol(config: UnitConfig, table: GatewayDestination, typed_code: str) -> Identity:
    """Ask the gateway to take this unit in, and keep what it answers.

    Raises:
        CliError: With what stands in the way, and what to do.
    """
    from sync.adapters.gateway.keys import from_base64, private_key, public_bytes, to_base64
    from sync.wire.messages import EnrolRequest
    from sync.wire.proofs import CodeError, centre_proof, code_id, plain_code, unit_proof

    try:
        code = plain_code(typed_code)
    except CodeError as error:
        raise CliError(f"This cannot be a code: {error}. Nothing was changed.", USAGE, "bad-code") from error
    try:
        public_key = public_bytes(private_key(_key(config.identity_dir)))
        before = read_identity(config.identity_dir, table.name)
    except (IdentityError, ValueError) as error:
        raise CliError(
            f"The key of this unit cannot be used ({error}). Nothing was changed. Set the folder "
            f"{config.identity_dir} aside and enrol the unit as a new one.",
            ENVIRONMENT,
            "identity-unusable",
        ) from error
    request = EnrolRequest(
        code_id=code_id(code),
        unit_name=config.unit.name,
        public_key=to_base64(public_key),
        proof=to_base64(unit_proof(code, config.unit.name, public_key)),
    )
    answer = _ask(config, table, request)
    centre_key = from_base64(answer.centre_public_key)
    expected = centre_proof(code, answer.unit_id, centre_key, public_key, answer.centre_age_recipient)
    proved = hmac.compare_digest(expected, from_base64(answer.proof))
    if not proved or len(centre_key) != KEY_BYTES or not UNIT_ID.fullmatch(answer.unit_id):
        raise CliError(
            "Whoever answered does not know the code, so it is not the centre that gave it to you. Nothing was kept. "
            "Compare the destination's url with what the centre's administrator wrote down, and tell them.",
            NEEDS_PERSON,
            "centre-unproved",
        )
    identity = Identity(
        unit_id=answer.unit_id,
        centre_public_key=answer.centre_public_key,
        url=table.url,
        centre_age_recipient=answer.centre_age_recipient,
    )
    if before is None or before.unit_id != identity.unit_id:
        # What an earlier identity remembers of its sessions is another unit's story to this centre.
        session_file(config.identity_dir, table.name).unlink(missing_ok=True)
    write_identity(config.identity_dir, table.name, identity)
    return identity


def _key(identity_dir: Path) -> bytes:
    """The unit's key; made when there is none."""
    from sync.adapters.gateway.keys import new_key

    pem = read_key(identity_dir)
    if pem is None:
        pem = new_key()
        write_key(identity_dir, pem)
    return pem


def _ask(config: UnitConfig, table: GatewayDestination, request: EnrolRequest) -> EnrolAnswer:
    from sync.adapters.failures import CATALOGUE, Failed
    from sync.adapters.gateway.answers import refusal_of
    from sync.adapters.gateway.flow import Flow, Way
    from sync.adapters.gateway.session import JSON
    from sync.wire.messages import EnrolAnswer

    try:
        flow = Flow(Way(table, config.limits, SystemClock()), "enrol")
        try:
            answer = flow.exchange("POST", "/v1/enrol", JSON, content=msgspec.json.encode(request))
        finally:
            flow.close()
        if answer.status == 403:
            raise CliError(
                f"The centre does not accept this code for a unit called {config.unit.name!r}: it is mistyped, used, "
                "too old, or was made for another name (unit.name in the configuration). Nothing was changed there. "
                "Ask the centre's administrator for a new code.",
                NEEDS_PERSON,
                "code-refused",
            )
        if answer.status != 200:
            raise Failed(refusal_of(answer, config.limits.backoff_s_max))
        return answer.decode(EnrolAnswer)
    except Failed as failed:
        entry = CATALOGUE[failed.failure.code]
        sentence = entry.sentence.split(". ")[0].rstrip(".")
        raise CliError(
            f"{sentence}. {entry.advice} Then type this command again, with the same code.",
            ENVIRONMENT,
            failed.failure.code,
        ) from failed
