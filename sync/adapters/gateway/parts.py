"""One part on its way: what the centre has of it, what was handed to the connection, and what an answer makes of both.

Pure. A connection carries requests one behind the other, so where the next append begins is known before the last one
was answered; an answer that says otherwise sets the part back, and what was sent on the old belief no longer counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.failure import Failure
from sync.adapters.failures import Failed, failure
from sync.adapters.gateway.source import Source
from sync.wire.messages import PartInfo

WRONG_DIGEST_COUNT_MAX = 3
CONFLICT_COUNT_MAX = 8
"""Answers about another offset without a byte of progress in between."""


@dataclass(eq=False)
class Part:
    """One part to bring.

    Attributes:
        item_id: Whose progress it counts for.
        offset: How much of it the centre is known to have.
        position: The next byte to hand over; ahead of ``offset`` by what is on its way.
        began_at: ``offset`` when this call began.
        in_doubt: The connection broke: the centre has to be asked before another byte is handed over.
        is_carried: By one connection, which alone may touch it.
        lacks_end: The centre has every byte and did not complete it, for it died in between: an empty append does.
        not_needed: The centre can do without.
        generation: Counts how often it was set back; answers to what was sent before do not count.
    """

    info: PartInfo
    source: Source
    item_id: int
    offset: int = 0
    position: int = 0
    began_at: int = 0
    in_doubt: bool = False
    is_carried: bool = False
    lacks_end: bool = False
    complete: bool = False
    not_needed: bool = False
    failed: bool = False
    generation: int = 0
    wrong_digest_count: int = 0
    conflict_count: int = 0

    @property
    def is_done(self) -> bool:
        """Nothing more of it has to be handed over, whatever comes."""
        return self.complete or self.not_needed or self.failed

    @property
    def wants_append(self) -> bool:
        """An append of it can begin now."""
        wanted = self.lacks_end or self.position < self.info.size_bytes
        return wanted and not self.is_done and not self.in_doubt

    @property
    def handed_bytes(self) -> int:
        """In this call."""
        return max(0, self.position - self.began_at)

    def set_back(self, offset: int) -> None:
        """The centre has so much, whatever was believed."""
        self.offset = self.position = offset
        self.lacks_end = offset == self.info.size_bytes
        self.generation += 1

    def doubt(self) -> None:
        """The connection that carried it broke."""
        self.is_carried = False
        if not self.is_done:
            self.in_doubt = True
            self.generation += 1

    def told(self, offset: int, complete: bool, not_needed: bool, *, is_first: bool) -> None:
        """What the answer to a manifest says; ``offset`` was checked to be possible.

        It was true when the manifest was read, before what was sent behind it: an equal belief stays as it is.

        Args:
            offset: How much of it is there.
            complete: All of it.
            not_needed: The centre can do without.
            is_first: The manifest's first telling in this call; a later one is about parts in doubt alone.
        """
        if complete or not_needed:
            self.complete, self.not_needed = complete, not_needed
        elif self.in_doubt:
            self.in_doubt = False
            self.set_back(offset)
        elif is_first:
            if offset != self.offset:
                self.set_back(offset)
            self.began_at = offset

    def answered(self, generation: int, end: int, said: int, complete: bool) -> bool:
        """The answer to an append that handed over everything before ``end``.

        Returns:
            Whether the centre has more than before.

        Raises:
            Failed: ``answer-contradicts`` when it claims more than it can have.
        """
        if said > end or (complete and said < self.info.size_bytes):
            raise Failed(failure("answer-contradicts"))
        if generation != self.generation:
            return False
        grew = said > self.offset
        if said == end:
            self.offset = said
            self.complete = complete
        else:
            self.set_back(said)
        if grew:
            self.conflict_count = 0
        return grew

    def contradicted(self, generation: int, said: int, complete: bool) -> Failure | None:
        """An append began elsewhere than the centre stands, or at a part that is whole.

        Returns:
            The part's failure, when that happened too often.

        Raises:
            Failed: ``answer-contradicts`` as above.
        """
        if said > self.info.size_bytes or (complete and said < self.info.size_bytes):
            raise Failed(failure("answer-contradicts"))
        if generation != self.generation:
            return None
        self.conflict_count += 1
        if complete:
            self.offset, self.complete = said, True
        elif self.conflict_count > CONFLICT_COUNT_MAX:
            return failure("part-conflict")
        else:
            self.set_back(said)
        return None

    def damaged(self, generation: int) -> Failure | None:
        """All bytes were there and did not have the part's name; it begins again.

        Returns:
            The part's failure, when that happened too often.
        """
        if generation != self.generation:
            return None
        self.wrong_digest_count += 1
        if self.wrong_digest_count >= WRONG_DIGEST_COUNT_MAX:
            return failure("part-damaged")
        self.set_back(0)
        return None
