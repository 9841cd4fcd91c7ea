"""TLS of the centre's doors: 1.2 or newer, forward secret and authenticated ciphers only."""

from __future__ import annotations

import ssl

from appliance.config import ConfigError
from central.config import Door


def server_context(name: str, door: Door) -> ssl.SSLContext | None:
    """With the configured certificate; ``None`` where none is configured.

    Args:
        name: Of the door's table in ``central.toml``.
        door: The table.

    Raises:
        ConfigError: If certificate or key cannot be used.
    """
    if not door.certificate_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(door.certificate_file, door.key_file)
    except OSError as error:
        raise ConfigError(
            f"{name}.certificate_file {door.certificate_file} and {name}.key_file {door.key_file} cannot be "
            f"used: {error.strerror or error}. Nothing was changed"
        ) from error
    return context
