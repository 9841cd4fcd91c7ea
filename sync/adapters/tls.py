"""TLS contexts, and what a failed connection says about its cause."""

from __future__ import annotations

import socket
import ssl

from appliance.domain.failure import Failure
from sync.adapters.failures import failure

_NOT_YET_VALID, _EXPIRED = 9, 10
"""OpenSSL's X509_V_ERR codes."""


def tls_context(ca_file: str, certificate_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """For a client: TLS 1.2 or newer; only ``ca_file`` is trusted when given, otherwise the system's authorities.

    Raises:
        OSError: If a file cannot be read or holds nothing usable (``ssl.SSLError`` is an ``OSError``).
    """
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate_file:
        context.load_cert_chain(certificate_file, key_file or None)
    return context


def listener_context(ca_file: str, certificate_file: str, key_file: str) -> ssl.SSLContext:
    """For a listener: peers must show a certificate of ``ca_file`` (of the system's authorities when it is empty).

    Raises:
        OSError: As ``tls_context``.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate_file, key_file or None)
    return context


def connect_failure(error: BaseException) -> Failure | None:
    """What name resolution or TLS said, if one of them is the cause of ``error``."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return failure("name-unknown")
        if isinstance(cause, ssl.SSLCertVerificationError):
            out_of_date = cause.verify_code in (_NOT_YET_VALID, _EXPIRED)
            return failure("tls-expired" if out_of_date else "tls-untrusted")
        if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return failure("connection-lost")
        if isinstance(cause, ssl.SSLError):
            return failure("tls-failed")
        cause = cause.__cause__ or cause.__context__
    return None
