"""Bringing one part to the gateway: appends that may end anywhere, and going on where the centre says it stands.

An append runs until the part is there or ``APPEND_BYTES_MAX`` went out. It is chunked and says ``Upload-Complete: ?0``:
the centre knows the part's length, so it completes the part by itself, and an append that ends early is a whole one.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

from appliance.domain.failure import Failure
from sync.adapters.failures import Failed, failure
from sync.adapters.gateway.answers import refusal_of
from sync.adapters.gateway.cargo import Cargo, Part, next_offset
from sync.adapters.gateway.centre import Centre
from sync.adapters.gateway.courtesy import Courtesy
from sync.adapters.gateway.flow import Answer, Flow
from sync.adapters.gateway.flows import Flows, Use
from sync.adapters.gateway.persistence import Persistence
from sync.adapters.gateway.timing import YIELD_S_MAX

SLICE_BYTES = 16 * 1024
"""Looked around after each: one TLS record, two thirds of a second at 200 kbit/s."""
APPEND_BYTES_MAX = 8 * 1024 * 1024
WRONG_DIGEST_COUNT_MAX = 3
CONFLICT_COUNT_MAX = 8
"""Answers about another offset without a byte of progress in between."""
PARTIAL_UPLOAD = "application/partial-upload"


@dataclass(frozen=True, slots=True)
class Carrier:
    """What brings the parts of one call.

    Attributes:
        stopped: The call is over or cancelled: end as soon as a slice is through.
        on_moved: ``(part)`` after each slice and each answer.
    """

    centre: Centre
    flows: Flows
    cargo: Cargo
    courtesy: Courtesy
    persistence: Persistence
    stopped: Callable[[], bool]
    on_moved: Callable[[Part], None]
    urgent: bool = False
    backoff_s_max: float = 300.0

    def bring(self, part: Part) -> None:
        """Until the part is complete or not needed, or the call is over.

        Raises:
            Failed: What stands in the way of this part (transient, permanent) or of everything (link).
        """
        with self.courtesy.urgent() if self.urgent else nullcontext():
            while not (part.complete or part.not_needed or self.stopped()):
                self.persistence.run(lambda: self._step(part), achieves=False)

    def _step(self, part: Part) -> None:
        """One exchange, after which the part's offset is known, whatever came of it."""
        with self.flows.taken(Use.PARTS) as flow:
            if part.offset is None:
                self._append(flow, part, 0, create=True)
            elif part.handed != part.offset:
                self._ask_offset(flow, part)
            else:
                self._append(flow, part, part.offset, create=False)

    def _ask_offset(self, flow: Flow, part: Part) -> None:
        """After a lost answer. A part that was to be created may not have been: then it is created once more."""
        answer = self.centre.append(flow, "HEAD", _path(part), {}, None, 0)
        if answer.status == 404 and part.created:
            part.offset = None
            return
        if answer.status not in (200, 204):
            raise Failed(_refusal(answer, self.backoff_s_max))
        self._follow(part, answer, part.info.size_bytes)

    def _append(self, flow: Flow, part: Part, start: int, *, create: bool) -> None:
        size = part.info.size_bytes
        headers = {"Upload-Complete": "?0", "Upload-Length": str(size), "Content-Type": PARTIAL_UPLOAD}
        if create:
            part.created = True
            digest = b64encode(bytes.fromhex(part.info.sha256)).decode("ascii")
            method, path, headers["Repr-Digest"] = "POST", "/v1/parts", f"sha-256=:{digest}:"
        else:
            method, path, headers["Upload-Offset"] = "PATCH", _path(part), str(start)
        end = min(size, start + APPEND_BYTES_MAX)
        # From here on the offset is known again only by an answer; nothing is handed that the centre is known to have.
        part.offset, part.handed = start, -1
        answer = self.centre.append(flow, method, path, headers, self._slices(flow, part, start, end), end - start)
        handed = max(part.handed, start)
        if answer.status in (200, 201, 204):
            self._follow(part, answer, size if create else handed)
            part.conflict_count = 0
        elif answer.status == 409 or _says_complete(answer):
            part.conflict_count += 1
            if part.conflict_count > CONFLICT_COUNT_MAX:
                raise Failed(failure("part-conflict"))
            self._follow(part, answer, size)
        elif answer.status == 460:
            part.wrong_digest_count += 1
            if part.wrong_digest_count >= WRONG_DIGEST_COUNT_MAX:
                raise Failed(failure("part-damaged"))
            part.offset = part.handed = 0
        else:
            raise Failed(_refusal(answer, self.backoff_s_max))

    def _slices(self, flow: Flow, part: Part, start: int, end: int) -> Iterator[bytes]:
        position = start
        while position < end and not (self.stopped() or part.not_needed):
            if not self.urgent:
                self.courtesy.give_way(YIELD_S_MAX)
            if flow.has_news():
                return
            data = part.source.read(position, min(SLICE_BYTES, end - position))
            yield data
            position += len(data)
            flow.progress()
            self.cargo.moved(part, position)
            self.on_moved(part)

    def _follow(self, part: Part, answer: Answer, most: int) -> None:
        offset = _number(answer.headers.get("Upload-Offset", ""))
        if offset is None:
            raise Failed(failure("answer-unusable"))
        before = part.offset or 0
        next_offset(part, offset, _complete(answer), most)
        part.handed = offset
        if offset > before:
            self.persistence.alive()
        self.on_moved(part)


def _path(part: Part) -> str:
    return f"/v1/parts/{part.info.sha256}"


def _complete(answer: Answer) -> bool:
    return str(answer.headers.get("Upload-Complete", "?0")).strip() == "?1"


def _says_complete(answer: Answer) -> bool:
    """An append to a finished part: another unit was faster, or our last answer was lost."""
    return answer.status == 400 and _complete(answer)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _refusal(answer: Answer, backoff_s_max: float) -> Failure:
    """A part that the centre does not know was named to it before it lost its memory: its manifest goes again."""
    return failure("part-forgotten") if answer.status == 404 else refusal_of(answer, backoff_s_max)
