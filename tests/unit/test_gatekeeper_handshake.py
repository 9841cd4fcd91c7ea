"""Who may come in: listed devices from anywhere, our own import from this machine only."""

from __future__ import annotations

import pytest

from appliance.config import ImportTable, ModalityTable, UnitConfig
from appliance.gatekeeper.handshake import check_request, is_this_machine
from appliance.gatekeeper.pdu import APPLICATION_CONTEXT, AssociateRequest
from appliance.gatekeeper.violations import ViolationError

CONFIG = UnitConfig(modality=(ModalityTable(ae_title="XRAY1"),), imports=ImportTable(ae_title="OWN"))


def _request(calling: str) -> AssociateRequest:
    return AssociateRequest(CONFIG.dicom.ae_title, calling, True, APPLICATION_CONTEXT, (), None, None)


@pytest.mark.parametrize(("calling", "is_local"), [("XRAY1", True), ("XRAY1", False), ("OWN", True)])
def test_listed_device_and_own_import_are_admitted(calling: str, is_local: bool) -> None:
    check_request(_request(calling), CONFIG, is_local=is_local)


@pytest.mark.parametrize(("calling", "is_local"), [("OWN", False), ("OTHER", True), ("OTHER", False)])
def test_own_import_from_elsewhere_and_strangers_are_refused(calling: str, is_local: bool) -> None:
    with pytest.raises(ViolationError) as caught:
        check_request(_request(calling), CONFIG, is_local=is_local)
    assert caught.value.code == "unknown-calling-ae-title"


@pytest.mark.parametrize(
    ("peer", "own", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.8.0.1", "127.0.0.1", True),
        ("::1", "::1", True),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", True),
        ("192.168.7.1", "192.168.7.1", True),
        ("192.168.7.2", "192.168.7.1", False),
        ("::ffff:10.0.0.7", "::ffff:10.0.0.1", False),
        ("fe80::1%eth0", "fe80::2%eth0", False),
        ("", "", False),
    ],
)
def test_this_machine_is_known_by_its_addresses(peer: str, own: str, expected: bool) -> None:
    assert is_this_machine(peer, own) is expected
