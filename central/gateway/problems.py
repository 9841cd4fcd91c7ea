"""Refusals as problem documents (RFC 9457), each with a sentence: what happened, what is safe, what to do.

The three types of the resumable-upload draft have its URIs; the others are URNs of ours.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

_IANA = "https://iana.org/assignments/http-problem-types#"
MISMATCHING_OFFSET = f"{_IANA}mismatching-upload-offset"
COMPLETED_UPLOAD = f"{_IANA}completed-upload"
INCONSISTENT_LENGTH = f"{_IANA}inconsistent-upload-length"
_OURS = "urn:qafila:problem:"
MEDIA_TYPE = "application/problem+json"


class Refusal(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.type = code if ":" in code else _OURS + code
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    @property
    def code(self) -> str:
        """The last word of its type, for the log."""
        return self.type.rpartition(":")[2].rpartition("#")[2]

    def response(self, *, close: bool = False) -> Response:
        """The document, without a patient's or a file's content in it.

        ``close`` ends the connection with it, because a body that nobody wants is still coming.
        """
        body = {"type": self.type, "title": self.title, "status": self.status, "detail": self.detail, **self.members}
        headers = {**self.headers, "Cache-Control": "no-store"}
        if close:
            headers["Connection"] = "close"
        return Response(msgspec.json.encode(body), self.status, headers, media_type=MEDIA_TYPE)


def mismatching_offset(expected: int, provided: int, size_bytes: int) -> Refusal:
    """409: the append does not begin where the part ends."""
    return Refusal(
        409,
        MISMATCHING_OFFSET,
        "The append begins at another offset than the part ends at",
        f"The part ends at {expected}. What is here stays; go on from there.",
        headers={"Upload-Offset": str(expected), "Upload-Complete": "?0", **_length(size_bytes)},
        members={"expected-offset": expected, "provided-offset": provided},
    )


def completed_upload(size_bytes: int) -> Refusal:
    """400: the part is complete already."""
    return Refusal(
        400,
        COMPLETED_UPLOAD,
        "The part is complete already",
        "All its bytes are here; nothing more can be appended, and nothing needs to be.",
        headers={"Upload-Offset": str(size_bytes), "Upload-Complete": "?1", **_length(size_bytes)},
    )


def inconsistent_length(detail: str, offset: int) -> Refusal:
    """400: the lengths that were said of a part, or sent, do not agree."""
    return Refusal(
        400,
        INCONSISTENT_LENGTH,
        "The lengths do not agree",
        f"{detail} What was received before stays.",
        headers={"Upload-Offset": str(offset), "Upload-Complete": "?0"},
    )


def wrong_digest() -> Refusal:
    """460: all bytes are here and do not have the part's name."""
    return Refusal(
        460,
        "wrong-digest",
        "The bytes do not have the digest that is their name",
        "They were damaged on the way, or come from two files. The part starts again at 0; send it once more.",
        headers={"Upload-Offset": "0", "Upload-Complete": "?0"},
        members={"expected-offset": 0},
    )


def too_large(what: str, limit: int, headers: Mapping[str, str] | None = None) -> Refusal:
    """413."""
    detail = f"{what} may have {limit} bytes at most. Nothing was changed."
    return Refusal(413, "too-large", "Too large", detail, headers=headers)


def not_found(what: str = "part") -> Refusal:
    """404, also for what this unit has nothing to do with."""
    return Refusal(404, "not-found", f"No such {what}", f"This unit has named no such {what}. Nothing was changed.")


def bad_request(detail: str) -> Refusal:
    """400 for what cannot be understood."""
    return Refusal(400, "bad-request", "The request cannot be understood", f"{detail} Nothing was changed.")


def busy(detail: str, retry_after_s: int) -> Refusal:
    """429: as many at once as may be."""
    headers = {"Retry-After": str(retry_after_s)}
    return Refusal(429, "busy", "Too much at once", f"{detail} Nothing was changed.", headers=headers)


def no_room(retry_after_s: int) -> Refusal:
    """507: below the floor of free space."""
    return Refusal(
        507,
        "no-room",
        "The centre has no room",
        "The disk of the centre is nearly full. What it has promised is safe, and studies wait safely on the unit; "
        "the administrator of the centre has to make room.",
        headers={"Retry-After": str(retry_after_s)},
    )


def unauthorized(code: str, detail: str, status: int = 401) -> Refusal:
    """401 or 403: who asks may not."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Refusal(status, code, "Not allowed", detail, headers=headers)


def _length(size_bytes: int) -> dict[str, str]:
    return {"Upload-Length": str(size_bytes)} if size_bytes >= 0 else {}


def revoked() -> Refusal:
    """403: a person has ended this unit's access."""
    detail = "The centre has ended this unit's access. Its studies are safe on the unit; ask the administrator."
    return unauthorized("revoked", detail, 403)


def stopping(offset: int) -> Refusal:
    """503: the process ends; another takes over in a moment."""
    return Refusal(
        503,
        "stopping",
        "The gateway restarts",
        "What was received is kept. Go on in a moment.",
        headers={"Retry-After": "1", "Upload-Offset": str(offset), "Upload-Complete": "?0"},
    )


def too_slow(offset: int) -> Refusal:
    """408: nothing came for too long."""
    return Refusal(
        408,
        "idle",
        "Nothing came",
        f"No byte came for too long. What was received up to {offset} is kept; go on from there.",
        headers={"Upload-Offset": str(offset), "Upload-Complete": "?0"},
    )


def unavailable(offset: int | None = None) -> Refusal:
    """503: disk, object store or database did not work this time; ``offset`` is where a part stands."""
    kept = "" if offset is None else f" What was received up to {offset} is kept."
    where = {} if offset is None else {"Upload-Offset": str(offset), "Upload-Complete": "?0"}
    return Refusal(
        503,
        "storage",
        "The centre cannot store now",
        f"Its disk, object store or database does not answer.{kept} Try again in a moment.",
        headers={"Retry-After": "5", **where},
    )


def wrong_content(offset: int) -> Refusal:
    """460: the bytes of one append do not have the digest that its Content-Digest says."""
    return Refusal(
        460,
        "wrong-content-digest",
        "The bytes of this append do not have their digest",
        f"They were damaged on the way and are not kept. Send them once more from {offset}.",
        headers={"Upload-Offset": str(offset), "Upload-Complete": "?0"},
        members={"expected-offset": offset},
    )
