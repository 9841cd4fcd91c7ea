"""Upper layer PDUs (PS3.8 section 9.3) as values; pure, bounded, and every error is a ``PduError``.

Only what the gatekeeper decides by is taken out of an association request; the bytes themselves go on unchanged,
except for the maximum length, which is clamped in place.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass
from enum import IntEnum

HEADER_BYTES = 6
PDV_HEADER_BYTES = 6
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

_FIXED_BYTES = 68
"""Of A-ASSOCIATE-RQ and -AC: version, reserved, both titles, reserved."""
_UID = re.compile(r"[0-9.]{1,64}")
_ITEM_APPLICATION_CONTEXT = 0x10
_ITEM_CONTEXT_RQ = 0x20
_ITEM_CONTEXT_AC = 0x21
_ITEM_ABSTRACT_SYNTAX = 0x30
_ITEM_TRANSFER_SYNTAX = 0x40
_ITEM_USER_INFORMATION = 0x50
_ITEM_MAXIMUM_LENGTH = 0x51
_ABSTRACT_SYNTAX_NOT_SUPPORTED = 3


class PduType(IntEnum):
    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortReason(IntEnum):
    """Of the service provider (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int


REJECT_APPLICATION_CONTEXT = Rejection(1, 1, 2)
REJECT_CALLING_AE_TITLE = Rejection(1, 1, 3)
REJECT_CALLED_AE_TITLE = Rejection(1, 1, 7)
REJECT_PROTOCOL_VERSION = Rejection(1, 2, 2)
REJECT_CONGESTION = Rejection(2, 3, 1)
"""Transient: Orthanc is starting, stopping or gone."""
REJECT_LOCAL_LIMIT = Rejection(2, 3, 2)
"""Transient: too many connections."""


class PduError(ValueError):
    """The bytes are no such PDU; the text holds numbers and places, never content."""


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context of a request."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ, as far as the gatekeeper decides by it."""

    called_ae_title: str
    calling_ae_title: str
    is_version_1: bool
    application_context: str
    contexts: tuple[ProposedContext, ...]
    max_length_bytes: int | None
    """What the modality can receive in one P-DATA-TF; 0 is without limit, ``None`` was not said."""
    max_length_offset: int | None
    """Where that number lies in the PDU."""


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """An A-ASSOCIATE-AC: what was agreed."""

    transfer_syntax_by_context_id: dict[int, str]
    """Accepted contexts only."""
    max_length_bytes: int | None
    max_length_offset: int | None


def header(data: bytes | bytearray | memoryview, offset: int = 0) -> tuple[int, int]:
    """PDU type and the length that follows the six bytes at ``offset``; neither is checked."""
    kind, length = struct.unpack_from(">BxI", data, offset)
    return kind, length


def parse_associate_rq(pdu: bytes | bytearray) -> AssociateRequest:
    """Read a whole A-ASSOCIATE-RQ (PS3.8 section 9.3.2).

    Raises:
        PduError: If it is cut off, an item runs past its end, a UID or context id is malformed or there are too many.
    """
    version, called, calling = _fixed(pdu, PduType.ASSOCIATE_RQ)
    application_context = ""
    contexts: dict[int, ProposedContext] = {}
    max_length: tuple[int, int] | None = None
    for item, start, end in _items(pdu, HEADER_BYTES + _FIXED_BYTES, len(pdu)):
        if item == _ITEM_APPLICATION_CONTEXT:
            application_context = _uid(pdu, start, end)
        elif item == _ITEM_CONTEXT_RQ:
            context = _proposed_context(pdu, start, end)
            if context.context_id in contexts:
                raise PduError(f"presentation context {context.context_id} is there twice")
            contexts[context.context_id] = context
        elif item == _ITEM_USER_INFORMATION:
            max_length = _max_length(pdu, start, end)
    if not contexts:
        raise PduError("no presentation context")
    return AssociateRequest(
        called_ae_title=called,
        calling_ae_title=calling,
        is_version_1=bool(version & 1),
        application_context=application_context,
        contexts=tuple(contexts.values()),
        max_length_bytes=max_length and max_length[0],
        max_length_offset=max_length and max_length[1],
    )


def parse_associate_ac(pdu: bytes | bytearray) -> AssociateAccept:
    """Read a whole A-ASSOCIATE-AC (PS3.8 section 9.3.3).

    Raises:
        PduError: As ``parse_associate_rq``.
    """
    _fixed(pdu, PduType.ASSOCIATE_AC)
    accepted: dict[int, str] = {}
    max_length: tuple[int, int] | None = None
    for item, start, end in _items(pdu, HEADER_BYTES + _FIXED_BYTES, len(pdu)):
        if item == _ITEM_CONTEXT_AC:
            if end - start < 4:
                raise PduError("a presentation context is cut off")
            if pdu[start + 2] == 0:
                accepted[pdu[start]] = _accepted_syntax(pdu, start + 4, end)
        elif item == _ITEM_USER_INFORMATION:
            max_length = _max_length(pdu, start, end)
    return AssociateAccept(accepted, max_length and max_length[0], max_length and max_length[1])


def clamp_max_length(pdu: bytearray, parsed: AssociateRequest | AssociateAccept, bytes_max: int) -> None:
    """Make the offered maximum length at most ``bytes_max``, in place; 0 (no limit) becomes ``bytes_max``."""
    if parsed.max_length_offset is None or parsed.max_length_bytes is None:
        return
    if parsed.max_length_bytes == 0 or parsed.max_length_bytes > bytes_max:
        struct.pack_into(">I", pdu, parsed.max_length_offset, bytes_max)


def refuse_contexts(pdu: bytearray, context_ids: Container[int]) -> None:
    """Make an A-ASSOCIATE-AC refuse these presentation contexts (PS3.8 table 9-18: abstract syntax not supported)."""
    for item, start, _ in _items(pdu, HEADER_BYTES + _FIXED_BYTES, len(pdu)):
        if item == _ITEM_CONTEXT_AC and pdu[start] in context_ids:
            pdu[start + 2] = _ABSTRACT_SYNTAX_NOT_SUPPORTED


def each_pdu(run: memoryview) -> Iterator[tuple[int, memoryview, int]]:
    """Type, bytes and start of each of several whole PDUs."""
    at = 0
    while at < len(run):
        kind, length = header(run, at)
        stop = at + HEADER_BYTES + length
        yield kind, run[at:stop], at
        at = stop


def pdvs(pdu: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Presentation context id, message control header and fragment of each PDV of a whole P-DATA-TF PDU.

    Raises:
        PduError: If it holds none, or one does not fit (PS3.8 section 9.3.5).
    """
    offset, end = HEADER_BYTES, len(pdu)
    if offset == end:
        raise PduError("a P-DATA-TF without a PDV")
    while offset < end:
        if end - offset < PDV_HEADER_BYTES:
            raise PduError("a PDV header is cut off")
        length, context_id, control = struct.unpack_from(">IBB", pdu, offset)
        stop = offset + 4 + length
        if length < 2 or stop > end:
            raise PduError(f"a PDV of {length} bytes does not fit into its PDU")
        if control > 3:
            raise PduError(f"message control header {control:#x}")
        yield context_id, control, pdu[offset + PDV_HEADER_BYTES : stop]
        offset = stop


def associate_rj(rejection: Rejection) -> bytes:
    """An A-ASSOCIATE-RJ (PS3.8 section 9.3.4)."""
    return struct.pack(">BxIxBBB", PduType.ASSOCIATE_RJ, 4, rejection.result, rejection.source, rejection.reason)


def abort(reason: AbortReason) -> bytes:
    """An A-ABORT of the service provider, which is what the gatekeeper is to both sides (PS3.8 section 9.3.8)."""
    return struct.pack(">BxIxxBB", PduType.ABORT, 4, 2, reason)


def release_rq() -> bytes:
    """An A-RELEASE-RQ."""
    return struct.pack(">BxI4x", PduType.RELEASE_RQ, 4)


def release_rp() -> bytes:
    """An A-RELEASE-RP."""
    return struct.pack(">BxI4x", PduType.RELEASE_RP, 4)


def data_tf(context_id: int, control: int, fragment: bytes) -> bytes:
    """A P-DATA-TF with one PDV."""
    return struct.pack(">BxIIBB", PduType.DATA_TF, len(fragment) + 6, len(fragment) + 2, context_id, control) + fragment


def _fixed(pdu: bytes | bytearray, expected: PduType) -> tuple[int, str, str]:
    """Protocol version, called and calling AE title, after the frame itself was checked."""
    if len(pdu) < HEADER_BYTES + _FIXED_BYTES:
        raise PduError("cut off before its fixed fields end")
    kind, length = header(pdu)
    if kind != expected or length != len(pdu) - HEADER_BYTES:
        raise PduError(f"type {kind} of {length} bytes where type {int(expected)} was due")
    version, called, calling = struct.unpack_from(">H2x16s16s", pdu, HEADER_BYTES)
    return version, _ae_title(called), _ae_title(calling)


def _ae_title(raw: bytes) -> str:
    """Leading and trailing blanks do not count (PS3.5, VR AE); what cannot be in a title becomes U+FFFD."""
    text = raw.rstrip(b"\0").decode("ascii", "replace").strip(" ")
    return "".join(c if c.isprintable() and c != "\\" else "\ufffd" for c in text)


def _items(pdu: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Type, start and end of the value of each variable item."""
    while start < end:
        if end - start < 4:
            raise PduError("an item header is cut off")
        kind, length = struct.unpack_from(">BxH", pdu, start)
        stop = start + 4 + length
        if stop > end:
            raise PduError(f"item {kind:#04x} of {length} bytes runs past its end")
        yield kind, start + 4, stop
        start = stop


def _uid(pdu: bytes | bytearray, start: int, end: int) -> str:
    text = bytes(pdu[start:end]).rstrip(b"\0 ").decode("ascii", "replace")
    if not _UID.fullmatch(text):
        raise PduError("a UID is malformed")
    return text


def _proposed_context(pdu: bytes | bytearray, start: int, end: int) -> ProposedContext:
    if end - start < 4:
        raise PduError("a presentation context is cut off")
    context_id = pdu[start]
    if context_id % 2 == 0:
        raise PduError(f"presentation context id {context_id} is even")
    abstract_syntax = ""
    transfer_syntaxes: list[str] = []
    for item, first, last in _items(pdu, start + 4, end):
        if item == _ITEM_ABSTRACT_SYNTAX:
            abstract_syntax = _uid(pdu, first, last)
        elif item == _ITEM_TRANSFER_SYNTAX:
            transfer_syntaxes.append(_uid(pdu, first, last))
    if not abstract_syntax or not transfer_syntaxes:
        raise PduError(f"presentation context {context_id} names no syntax")
    return ProposedContext(context_id, abstract_syntax, tuple(transfer_syntaxes))


def _accepted_syntax(pdu: bytes | bytearray, start: int, end: int) -> str:
    for item, first, last in _items(pdu, start, end):
        if item == _ITEM_TRANSFER_SYNTAX:
            return _uid(pdu, first, last)
    raise PduError("an accepted presentation context names no transfer syntax")


def _max_length(pdu: bytes | bytearray, start: int, end: int) -> tuple[int, int] | None:
    """Value and offset of the maximum length sub-item (PS3.8 annex D.1)."""
    for item, first, last in _items(pdu, start, end):
        if item == _ITEM_MAXIMUM_LENGTH:
            if last - first != 4:
                raise PduError("the maximum length has not four bytes")
            return struct.unpack_from(">I", pdu, first)[0], first
    return None
