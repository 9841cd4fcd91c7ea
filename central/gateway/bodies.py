"""JSON in and out, with bounds before anything is unpacked."""

from __future__ import annotations

import io
from typing import TypeVar

import msgspec
import zstandard
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from central.gateway.problems import Refusal, bad_request, too_large
from central.limits import GatewayLimits

T = TypeVar("T")
WORTH_PACKING_BYTES = 512
PACK_LEVEL = 9


async def read_json(request: Request, kind: type[T], limits: GatewayLimits) -> T:
    """The body as a message.

    Raises:
        Refusal: 413 when it is too large, packed or not; 415 for another encoding; 400 when it is not this message.
    """
    declared = content_length(request)
    if declared is not None and declared > limits.json_bytes_max:
        raise too_large("The body", limits.json_bytes_max)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > limits.json_bytes_max:
                raise too_large("The body", limits.json_bytes_max)
    except ClientDisconnect as error:
        raise bad_request("The connection broke.") from error
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "zstd":
        plain = unpack(bytes(body), limits)
    elif encoding == "identity":
        plain = bytes(body)
    else:
        raise Refusal(415, "encoding", "Unknown encoding", "Bodies may be plain or zstd. Nothing was changed.")
    try:
        return msgspec.json.decode(plain, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        # The library quotes places, never values.
        place = str(error) if isinstance(error, msgspec.ValidationError) else "it is not JSON"
        raise bad_request(f"The body is no {kind.__name__}: {place}.") from error


def unpack(packed: bytes, limits: GatewayLimits) -> bytes:
    """One zstd frame.

    Raises:
        Refusal: When it is damaged, needs too large a window, or holds more than ``json_unpacked_bytes_max``.
    """
    bound = limits.json_unpacked_bytes_max
    decompressor = zstandard.ZstdDecompressor(max_window_size=limits.zstd_window_bytes_max)
    try:
        with decompressor.stream_reader(io.BytesIO(packed)) as reader:
            plain = reader.read(bound + 1)
    except (zstandard.ZstdError, MemoryError) as error:
        raise bad_request("The zstd frame of the body is damaged, or needs more memory than is allowed.") from error
    if len(plain) > bound:
        raise too_large("The unpacked body", bound)
    return bytes(plain)


def answer(request: Request, message: msgspec.Struct, status: int = 200) -> Response:
    """A message as an answer, packed when the client takes it and it is worth it."""
    body = msgspec.json.encode(message)
    headers = {"Cache-Control": "no-store"}
    accepted = {word.split(";")[0].strip() for word in request.headers.get("Accept-Encoding", "").lower().split(",")}
    if len(body) >= WORTH_PACKING_BYTES and "zstd" in accepted:
        body = zstandard.ZstdCompressor(level=PACK_LEVEL).compress(body)
        headers["Content-Encoding"] = "zstd"
        headers["Vary"] = "Accept-Encoding"
    return Response(body, status, headers, media_type="application/json")


def content_length(request: Request) -> int | None:
    """The declared length of the body; ``None`` when it is chunked. The parser has checked it."""
    value = request.headers.get("Content-Length", "")
    return int(value) if value.isascii() and value.isdigit() else None
