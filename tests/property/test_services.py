"""Whatever a message's data set holds, the rules of MPPS and commitment answer with a status and never fail."""

from __future__ import annotations

import warnings
from io import BytesIO

from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode

from appliance.services.commitment import BadRequestError, read_request
from appliance.services.data_sets import DataSetError, changed, to_bytes
from appliance.services.step_rules import check_changed, check_created, content_of
from tests.support.services import commitment_request, step_created, step_ended

CREATED = to_bytes(step_created("1.2.3", "A1"))
ENDED = to_bytes(step_ended([("1.2", "1.2.3.1")]))
ASKED = to_bytes(commitment_request([("1.2", "1.2.3.1")], "1.2.9"))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One of the three messages with some bytes changed, cut off or put in."""
    data = bytearray(draw(st.sampled_from([CREATED, ENDED, ASKED])))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1))
        if draw(st.booleans()):
            data[at] = draw(st.integers(0, 255))
        else:
            data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return bytes(data)


def read(data: bytes) -> Dataset | None:
    """As pynetdicom reads it in the handler."""
    try:
        return decode(BytesIO(data), is_implicit_vr=False, is_little_endian=True)
    except Exception:  # whatever it raises is answered with 0x0110 there
        return None


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_damaged_step_is_accepted_whole_or_refused(data: bytes) -> None:
    with warnings.catch_warnings(action="ignore"):
        data_set = read(data)
        if data_set is None:
            return
        try:
            to_bytes(data_set)
            whole = changed(CREATED, data_set)
            to_bytes(whole)
        except DataSetError:
            return
        if check_created(data_set) is None:
            assert content_of(data_set).purposes
        if check_changed(whole) is None:
            assert content_of(whole).performed_step_id == "PPS1"


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_damaged_commitment_request_is_read_whole_or_refused(data: bytes) -> None:
    with warnings.catch_warnings(action="ignore"):
        data_set = read(data)
        if data_set is None:
            return
        try:
            _, references = read_request(data_set, 10)
        except BadRequestError:
            return
        assert references
