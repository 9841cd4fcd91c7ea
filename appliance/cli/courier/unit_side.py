"""What the unit's actions share: which gateway a stick is for, and the unit's keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from appliance.cli.exits import ENVIRONMENT, NOT_FOUND, USAGE, CliError
from appliance.config import GatewayDestination, UnitConfig
from appliance.identity import Identity, IdentityError, read_identity, read_key, replace_file
from sync.adapters.gateway.keys import from_base64, private_key
from sync.courier.errors import StickError
from sync.courier.keys import UnitKeys, names_key_of
from sync.courier.sealing import new_secret, recipient_of
from sync.courier.sentences import trouble

REPLY_KEY_NAME = "courier.key"


@dataclass(frozen=True, slots=True)
class Party:
    """The gateway that a stick is for, and who this unit is to it."""

    destination: GatewayDestination
    identity: Identity
    keys: UnitKeys

    @property
    def centre_key(self) -> bytes:
        return from_base64(self.identity.centre_public_key)


def party_of(config: UnitConfig, name: str) -> Party:
    """The gateway called ``name``, or the only one.

    Raises:
        CliError: There is none, or several; or this unit is not enrolled there; or the centre takes no sticks.
    """
    gateways = [one for one in config.destination if isinstance(one, GatewayDestination)]
    chosen = [one for one in gateways if name in ("", one.name)]
    if not gateways or not chosen:
        what = f"There is no gateway called {name}" if name else "This unit has no gateway to send to"
        raise CliError(
            f"{what}. Nothing was changed. Sticks are for a destination of kind 'gateway'.", NOT_FOUND, "no-gateway"
        )
    if len(chosen) > 1:
        names = ", ".join(one.name for one in chosen)
        raise CliError(
            f"Which centre is the stick for? Say --to: {names}. Nothing was changed.", USAGE, "which-gateway"
        )
    return Party(chosen[0], *_who(config, chosen[0]))


def _who(config: UnitConfig, destination: GatewayDestination) -> tuple[Identity, UnitKeys]:
    try:
        identity = read_identity(config.identity_dir, destination.name)
        pem = read_key(config.identity_dir)
        if identity is None or pem is None:
            raise CliError(
                f"This unit is not enrolled at {destination.name}, so nobody could open the stick. Nothing was "
                f"changed. Ask the centre for a code: qafila unit enrol --destination {destination.name} --code CODE",
                ENVIRONMENT,
                "not-enrolled",
            )
        if not identity.centre_age_recipient:
            raise CliError(
                f"{destination.name} takes no sticks: it gave this unit no key to encrypt to. Nothing was changed.",
                ENVIRONMENT,
                "no-sticks",
            )
        key = private_key(pem)
        reply_secret = _reply_secret(config.identity_dir / REPLY_KEY_NAME)
    except (IdentityError, ValueError) as error:
        raise CliError(
            f"The unit's identity cannot be used: {error}. Nothing was changed.", ENVIRONMENT, "identity"
        ) from error
    raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return identity, UnitKeys(identity.unit_id, key.sign, public, names_key_of(raw), reply_secret)


def _reply_secret(path: Path) -> str:
    """The age identity that the centre's answers are encrypted to; made when it is first needed."""
    if not path.exists():
        replace_file(path, f"{new_secret()}\n".encode("ascii"))
    secret = path.read_text(encoding="ascii").strip()
    recipient_of(secret)
    return secret


def as_cli_error(error: StickError) -> CliError:
    """The stick's trouble as the end of a command."""
    return CliError(trouble(error), ENVIRONMENT, f"stick-{error.fault}")
