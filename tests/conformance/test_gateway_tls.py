"""TLS to a gateway: the authority that was configured, and no other."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from sync.adapters.base import SendItem
from tests.support.gateway_fake import FakeGateway
from tests.support.pacs import Run


@pytest.mark.fault(39)
def test_tls_interception_is_not_trusted_and_shows_no_token(items: list[SendItem], tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    (tmp_path / "ca.pem").write_bytes(ours.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.issue_cert("localhost").configure_cert(context)
    with FakeGateway(context) as fake:
        unit = fake.unit(tmp_path / "unit")
        destination = unit.destination(fake.url, ca_file=str(tmp_path / "ca.pem"))
        assert Run(destination).send(items) == ({}, "tls-untrusted")
        unit.close()
        assert fake.asked == []


def test_tls_with_our_own_authority_carries_everything(items: list[SendItem], tmp_path: Path) -> None:
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with FakeGateway(context) as fake:
        unit = fake.unit(tmp_path / "unit")
        run = Run(unit.destination(fake.url, ca_file=str(tmp_path / "ca.pem")))
        assert run.send(items) == ({1: "", 2: "", 3: ""}, "")
        unit.close()
