"""TLS: only with the centre's certificate, TLS 1.2 or newer, and a refusal is not lost in a reset connection."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from tests.gateway.rig import Gateway, Pacs, Unit, picture_in_parts, running_gateway


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA, pacs: Pacs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "chain.pem", append=True)
    extra = f'certificate_file = "{folder}/chain.pem"\nkey_file = "{folder}/key.pem"'
    with running_gateway(folder, pacs.peer.url, extra=extra) as started:
        yield started


def trusting(authority: trustme.CA, maximum: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if maximum is not None:
        context.minimum_version = context.maximum_version = maximum
    return context


def test_unit_delivers_over_tls(secure: Gateway, authority: trustme.CA, tmp_path: Path) -> None:
    with Unit(secure.url, "tls-van", verify=trusting(authority)) as unit:
        unit.join(secure)
        picture = picture_in_parts(tmp_path, 60_000, 700)
        unit.send(picture)
        assert unit.receipt(unit.wait_for_entries(1)[0].receipt).sha256 == picture.instance.sha256


@pytest.mark.fault(39)
def test_unit_that_trusts_another_authority_does_not_connect(secure: Gateway) -> None:
    with Unit(secure.url, "stranger", verify=trusting(trustme.CA())) as unit, pytest.raises(httpx.ConnectError):
        unit.http.get("/v1/health")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_versions_of_tls_are_spoken(secure: Gateway, authority: trustme.CA, version: ssl.TLSVersion) -> None:
    with Unit(secure.url, "any", verify=trusting(authority, version)) as unit:
        assert unit.http.get("/v1/health").status_code == 200


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_and_plain_http_are_not(secure: Gateway, authority: trustme.CA) -> None:
    old = trusting(authority, ssl.TLSVersion.TLSv1_1)
    with Unit(secure.url, "old", verify=old) as unit, pytest.raises(httpx.ConnectError):
        unit.http.get("/v1/health")
    with Unit(secure.url.replace("https", "http"), "plain") as unit, pytest.raises(httpx.HTTPError):
        unit.http.get("/v1/health")


def test_early_refusal_arrives_over_tls(secure: Gateway, authority: trustme.CA) -> None:
    with Unit(secure.url, "early", verify=trusting(authority)) as unit:
        unit.token = "none"
        answer = unit.append("0" * 64, b"x" * 1_000_000)
        assert (answer.status_code, answer.headers["Connection"]) == (401, "close")
