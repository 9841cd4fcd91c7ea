"""Worklist answers on their way out; PDUs from an independent builder."""

from __future__ import annotations

import struct

import pytest

from appliance.config import ModalityTable, UnitConfig
from appliance.gatekeeper.pdu import parse_associate_rq
from appliance.gatekeeper.violations import ViolationError
from appliance.gatekeeper.worklist_answers import MODALITY_WORKLIST_FIND, WorklistAnswers
from tests.support.rawdicom import (
    CR_STORAGE,
    EXPLICIT,
    IMPLICIT,
    associate_rq,
    command_element,
    command_set,
    data_tf,
    pdu,
    pdv,
)

BIG_ENDIAN = "1.2.840.10008.1.2.2"
CONFIG = UnitConfig(
    modality=(
        ModalityTable(ae_title=" XRAY1"),
        ModalityTable(ae_title="US1", character_set="latin1"),
        ModalityTable(ae_title="US2", character_set="utf8"),
    )
)
STORE, WORKLIST = 1, 3
COMMAND_LAST, DATA, DATA_LAST = 3, 0, 2


def _response(status: int, data_set_type: int) -> bytes:
    return command_set(
        command_element(0x0002, MODALITY_WORKLIST_FIND.encode()),
        command_element(0x0100, struct.pack("<H", 0x8020)),
        command_element(0x0120, struct.pack("<H", 7)),
        command_element(0x0800, struct.pack("<H", data_set_type)),
        command_element(0x0900, struct.pack("<H", status)),
    )


PENDING, SUCCESS, CANCEL = _response(0xFF00, 1), _response(0, 0x0101), _response(0xFE00, 0x0101)
REST = b"\x08\x00\x50\x00SH\x04\x00A-1 "


def _answers(calling: str, syntax: str = EXPLICIT) -> WorklistAnswers:
    contexts = ((STORE, CR_STORAGE, (EXPLICIT,)), (WORKLIST, MODALITY_WORKLIST_FIND, (syntax,)))
    request = parse_associate_rq(associate_rq(calling, contexts=contexts))
    return WorklistAnswers(request, {STORE: EXPLICIT, WORKLIST: syntax}, CONFIG)


def _element(label: bytes, syntax: str = EXPLICIT) -> bytes:
    if syntax == IMPLICIT:
        return b"\x08\x00\x05\x00" + struct.pack("<I", len(label)) + label
    if syntax == BIG_ENDIAN:
        return b"\x00\x08\x00\x05CS" + struct.pack(">H", len(label)) + label
    return b"\x08\x00\x05\x00CS" + struct.pack("<H", len(label)) + label


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize(
    ("calling", "label"), [("XRAY1", b""), ("US1", b"ISO_IR 100"), ("US2", b"ISO_IR 192"), ("STRANGER", b"")]
)
def test_each_answer_gets_the_label_of_its_station(calling: str, label: bytes, syntax: str) -> None:
    def run(element: bytes) -> bytes:
        return b"".join(
            data_tf(WORKLIST, COMMAND_LAST, PENDING) + data_tf(WORKLIST, DATA_LAST, element + REST) for _ in range(3)
        )

    passed = _answers(calling, syntax).made_right(memoryview(run(_element(b"ISO_IR 100", syntax))))

    assert bytes(passed) == run(_element(label, syntax) if label else b"")


def test_only_the_first_fragment_of_an_answer_is_touched_however_it_is_cut_into_runs() -> None:
    answers = _answers("US2")
    lookalike = _element(b"ISO_IR 100")
    sent = [
        pdu(4, pdv(WORKLIST, COMMAND_LAST, PENDING) + pdv(WORKLIST, DATA, lookalike)),
        data_tf(WORKLIST, DATA_LAST, lookalike),
        data_tf(WORKLIST, COMMAND_LAST, SUCCESS),
    ]

    heard = [bytes(answers.made_right(memoryview(each))) for each in sent]

    own = _element(b"ISO_IR 192")
    assert heard == [sent[0].replace(lookalike, own), *sent[1:]]


def test_what_is_no_worklist_answer_passes_as_it_is() -> None:
    run = data_tf(STORE, COMMAND_LAST, b"stored") + data_tf(STORE, DATA_LAST, b"anything") + pdu(6, bytes(4))
    assert bytes(_answers("US2").made_right(memoryview(run))) == run


def test_association_without_a_worklist_context_is_not_looked_at() -> None:
    request = parse_associate_rq(associate_rq("US2", contexts=((STORE, CR_STORAGE, (EXPLICIT,)),)))
    run = memoryview(b"not even a PDU")
    assert WorklistAnswers(request, {STORE: EXPLICIT}, CONFIG).made_right(run) is run


@pytest.mark.parametrize("begin", [_element(b"ISO_IR 192"), REST, b""])
def test_answer_that_orthanc_did_not_label_as_agreed_is_never_passed_on(begin: bytes) -> None:
    answers = _answers("US2")
    run = data_tf(WORKLIST, COMMAND_LAST, PENDING) + data_tf(WORKLIST, DATA_LAST, begin)
    with pytest.raises(ViolationError):
        answers.made_right(memoryview(run))


def test_answer_to_a_cancelled_query_is_taken_out_and_the_next_query_is_answered() -> None:
    """As DCMTK sends it: Cancel, which says that an answer follows, and the answer in two fragments."""
    answers = _answers("US1")
    answer = _element(b"ISO_IR 100") + REST
    wrong = data_tf(WORKLIST, COMMAND_LAST, _response(0xFE00, 1))
    fragments = data_tf(WORKLIST, DATA, answer) + data_tf(WORKLIST, DATA_LAST, REST)
    after = data_tf(WORKLIST, COMMAND_LAST, PENDING) + data_tf(WORKLIST, DATA_LAST, answer)

    assert bytes(answers.made_right(memoryview(wrong))) == data_tf(WORKLIST, COMMAND_LAST, CANCEL)
    assert bytes(answers.made_right(memoryview(fragments))) == b""
    assert bytes(answers.made_right(memoryview(after))) == after
