"""Association PDUs as the gatekeeper reads and writes them; the bytes come from independent builders."""

from __future__ import annotations

import struct

import pytest
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ, A_RELEASE_RP, A_RELEASE_RQ, P_DATA_TF

from appliance.gatekeeper import pdu
from appliance.gatekeeper.pdu import AbortReason, PduError, Rejection
from tests.support import rawdicom
from tests.support.rawdicom import CR_STORAGE, EXPLICIT, IMPLICIT, VERIFICATION, associate_rq

CONTEXTS = ((1, CR_STORAGE, (EXPLICIT, IMPLICIT)), (3, VERIFICATION, (IMPLICIT,)))


def _accept(results: tuple[tuple[int, int, str], ...], max_length: int = 0) -> bytes:
    body = struct.pack(">H2x16s16s32x", 1, b"QAFILA".ljust(16), b"XRAY1".ljust(16))
    body += rawdicom.item(0x10, rawdicom.APPLICATION_CONTEXT.encode())
    for context_id, result, syntax in results:
        answer = struct.pack(">BxBx", context_id, result) + rawdicom.item(0x40, syntax.encode())
        body += rawdicom.item(0x21, answer)
    return rawdicom.pdu(2, body + rawdicom.item(0x50, rawdicom.item(0x51, struct.pack(">I", max_length))))


def test_request_gives_titles_contexts_and_maximum_length() -> None:
    request = pdu.parse_associate_rq(associate_rq("XRAY1", "QAFILA", CONTEXTS, max_length=65536))

    assert (request.calling_ae_title, request.called_ae_title) == ("XRAY1", "QAFILA")
    assert request.is_version_1
    assert request.application_context == pdu.APPLICATION_CONTEXT
    assert [(c.context_id, c.abstract_syntax, c.transfer_syntaxes) for c in request.contexts] == list(CONTEXTS)
    assert request.max_length_bytes == 65536


def test_title_keeps_case_and_inner_blanks_but_not_outer_ones() -> None:
    assert pdu.parse_associate_rq(associate_rq(" Room 1 x")).calling_ae_title == "Room 1 x"


@pytest.mark.parametrize("title", ["XRAY\x01", "XRAY\\1", "XRAY\x7f"])
def test_title_with_forbidden_character_equals_no_configured_one(title: str) -> None:
    assert "\ufffd" in pdu.parse_associate_rq(associate_rq(title)).calling_ae_title


@pytest.mark.parametrize(
    ("offered", "clamped"), [(0, 131072), (1 << 20, 131072), (131073, 131072), (131072, 131072), (16384, 16384)]
)
def test_maximum_length_of_request_is_clamped(offered: int, clamped: int) -> None:
    request = bytearray(associate_rq(max_length=offered))

    pdu.clamp_max_length(request, pdu.parse_associate_rq(request), 131072)

    assert bytes(request) == associate_rq(max_length=clamped)


def test_request_without_maximum_length_is_left_as_it_is() -> None:
    request = bytearray(associate_rq(max_length=None))

    pdu.clamp_max_length(request, pdu.parse_associate_rq(request), 131072)

    assert bytes(request) == associate_rq(max_length=None)


def test_accept_gives_accepted_contexts_only_and_is_clamped() -> None:
    answer = bytearray(_accept(((1, 0, EXPLICIT), (3, 4, IMPLICIT), (5, 0, IMPLICIT))))

    accepted = pdu.parse_associate_ac(answer)
    pdu.clamp_max_length(answer, accepted, 131072)

    assert accepted.transfer_syntax_by_context_id == {1: EXPLICIT, 5: IMPLICIT}
    assert pdu.parse_associate_ac(answer).max_length_bytes == 131072


def _with_context(body: bytes) -> bytes:
    fixed = associate_rq()[6:74]
    return rawdicom.pdu(1, fixed + rawdicom.item(0x20, body))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        associate_rq()[:-1],
        associate_rq() + b"\0",
        b"\x02" + associate_rq()[1:],
        rawdicom.pdu(1, associate_rq()[6:74]),
        rawdicom.pdu(1, associate_rq()[6:] + b"\x20\x00"),
        rawdicom.pdu(1, associate_rq()[6:] + b"\x20\x00\xff\xff"),
        associate_rq(contexts=((2, CR_STORAGE, (EXPLICIT,)),)),
        associate_rq(contexts=((1, CR_STORAGE, (EXPLICIT,)), (1, CR_STORAGE, (IMPLICIT,)))),
        associate_rq(contexts=((1, "../../etc", (EXPLICIT,)),)),
        associate_rq(contexts=((1, CR_STORAGE, ()),)),
        associate_rq(contexts=((1, "1" * 65, (EXPLICIT,)),)),
        _with_context(b"\x01\0"),
        _with_context(b"\x01\0\0\0" + rawdicom.item(0x30, CR_STORAGE.encode())[:-4]),
    ],
    ids=range(14),
)
def test_malformed_request_is_a_pdu_error(broken: bytes) -> None:
    with pytest.raises(PduError):
        pdu.parse_associate_rq(broken)


def test_pdvs_of_one_pdu_come_in_order() -> None:
    body = rawdicom.pdv(1, 3, b"command") + rawdicom.pdv(1, 2, b"data") + rawdicom.pdv(3, 0, b"")

    found = [(c, k, bytes(f)) for c, k, f in pdu.pdvs(memoryview(rawdicom.pdu(4, body)))]

    assert found == [(1, 3, b"command"), (1, 2, b"data"), (3, 0, b"")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0\2\1",
        struct.pack(">IBB", 1, 1, 0),
        struct.pack(">IBB", 0, 1, 0),
        struct.pack(">IBB", 3, 1, 0),
        struct.pack(">IBB", 0xFFFFFFFF, 1, 0) + b"data",
        rawdicom.pdv(1, 4, b"data"),
    ],
)
def test_pdv_that_does_not_fit_is_a_pdu_error(body: bytes) -> None:
    with pytest.raises(PduError):
        list(pdu.pdvs(memoryview(rawdicom.pdu(4, body))))


def test_what_we_send_is_what_pynetdicom_reads() -> None:
    rejection = A_ASSOCIATE_RJ()
    rejection.decode(pdu.associate_rj(Rejection(2, 3, 2)))
    abort = A_ABORT_RQ()
    abort.decode(pdu.abort(AbortReason.UNEXPECTED_PDU))
    data = P_DATA_TF()
    data.decode(pdu.data_tf(5, 3, b"fragment"))

    assert (rejection.result, rejection.source, rejection.reason_diagnostic) == (2, 3, 2)
    assert (abort.source, abort.reason_diagnostic) == (2, 2)
    assert [(i.presentation_context_id, i.presentation_data_value) for i in data.presentation_data_value_items] == [
        (5, b"\x03fragment")
    ]
    assert pdu.release_rq() == A_RELEASE_RQ().encode()
    assert pdu.release_rp() == A_RELEASE_RP().encode()


def test_every_pdu_of_a_run_is_found() -> None:
    run = pdu.data_tf(1, 0, b"one") + pdu.release_rq() + pdu.data_tf(1, 2, b"two")

    found = [(kind, bytes(each), start) for kind, each, start in pdu.each_pdu(memoryview(run))]

    assert [kind for kind, _, _ in found] == [4, 5, 4]
    assert b"".join(each for _, each, _ in found) == run
    assert all(run[start : start + len(each)] == each for _, each, start in found)


def test_refused_context_is_refused_in_place_and_the_others_stay() -> None:
    accepted = bytearray(_accept(((1, 0, IMPLICIT), (3, 0, EXPLICIT))))
    length = len(accepted)
    pdu.refuse_contexts(accepted, {3, 5})
    assert len(accepted) == length
    assert pdu.parse_associate_ac(accepted).transfer_syntax_by_context_id == {1: IMPLICIT}
