"""What the centre writes back onto a stick: one unit's inbox, signed by the centre and encrypted to that unit; pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sync.adapters.gateway.keys import is_signed
from sync.courier.errors import FormatError
from sync.courier.limits import CourierLimits
from sync.courier.messages import REPLY_CONTEXT, Reply, SignedReply
from sync.courier.sealing import seal, unseal

_signed_decoder = msgspec.json.Decoder(SignedReply)
_decoder = msgspec.json.Decoder(Reply)


def write_reply(reply: Reply, sign: Callable[[bytes], bytes], reply_to: str) -> bytes:
    """The file's bytes.

    Args:
        reply: What to say.
        sign: The centre's Ed25519 over a message.
        reply_to: The unit's age recipient.

    Raises:
        ValueError: If ``reply_to`` is no age recipient.
    """
    said = msgspec.json.encode(reply)
    signed = SignedReply(statement=said, signature=sign(REPLY_CONTEXT + said))
    return seal(msgspec.json.encode(signed), [reply_to])


def read_reply(sealed: bytes, secret: str, centre_key: bytes, unit_id: str, limits: CourierLimits) -> Reply:
    """What the centre said to this unit.

    Raises:
        FormatError: If it is damaged, beyond a limit, not signed by this centre, or for somebody else.
        ValueError: ``secret`` is no age identity.
    """
    if len(sealed) > limits.reply_bytes_max:
        raise FormatError("the centre's answer is longer than it may be")
    try:
        signed = _signed_decoder.decode(unseal(sealed, secret))
        if not is_signed(centre_key, REPLY_CONTEXT + signed.statement, signed.signature):
            raise FormatError("the answer was not written by this unit's centre")
        reply = _decoder.decode(signed.statement)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError("the centre's answer is damaged") from error
    if reply.unit_id != unit_id:
        raise FormatError("the answer is for another unit")
    if len(reply.inbox.entries) > limits.reply_entry_count_max:
        raise FormatError("the centre's answer has more entries than it may have")
    return reply
