"""The one table of an outbox item's life; nothing else in the product changes an item's state.

``sent`` is what the destination said, ``confirmed`` is what it proved. Any pair that is not in the table is illegal.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from appliance.domain.values import ItemState


class ItemEvent(StrEnum):
    """Why an item moves; the journal shows these names."""

    CHOSEN = "chosen"
    """The scheduler took it; its bytes are now read back and their digest compared."""
    PREPARED = "prepared"
    UNPREPARED = "unprepared"
    """Its bytes could not be read this time."""
    DAMAGED = "damaged"
    """Its bytes are gone or not what was kept."""
    PASSED_OVER = "passed-over"
    """Something more urgent came, or the link went, before it was started."""
    STARTED = "started"
    ACCEPTED = "accepted"
    ANNOUNCED = "announced"
    """Its manifest and preview were told; the item itself waits again."""
    FAILED = "failed"
    """The destination did not take it this time."""
    INTERRUPTED = "interrupted"
    """The attempt broke off before the destination answered for it."""
    CANCELLED = "cancelled"
    """We broke the attempt off."""
    REFUSED = "refused"
    """The destination will not take it."""
    VERIFIED = "verified"
    BROUGHT = "brought"
    """The destination's receipt came by another way than the link, for instance on a stick."""
    ABSENT = "absent"
    """The destination lacks it after all: it is sent again."""
    CONFLICT = "conflict"
    """The destination holds other bytes under its UID."""
    RESTARTED = "restarted"
    HOLD = "hold"
    RELEASE = "release"
    RETRY = "retry"
    REJECT = "reject"
    """A person set it aside."""
    REVISED = "revised"
    """A correction took the place of what it was about: whatever was proved, was proved of something else."""


_S, _E = ItemState, ItemEvent

TABLE: Mapping[tuple[ItemState, ItemEvent], ItemState] = MappingProxyType(
    {
        (_S.PENDING, _E.CHOSEN): _S.ENCODING,
        (_S.PENDING, _E.HOLD): _S.HELD,
        (_S.PENDING, _E.REJECT): _S.REJECTED,
        # A receipt is proof wherever it came from. What is under way is not touched: its own attempt finds the same.
        (_S.PENDING, _E.BROUGHT): _S.CONFIRMED,
        (_S.PENDING, _E.REVISED): _S.PENDING,
        (_S.PENDING, _E.RESTARTED): _S.PENDING,
        (_S.ENCODING, _E.PREPARED): _S.READY,
        (_S.ENCODING, _E.UNPREPARED): _S.PENDING,
        (_S.ENCODING, _E.DAMAGED): _S.REJECTED,
        (_S.ENCODING, _E.HOLD): _S.HELD,
        (_S.ENCODING, _E.REJECT): _S.REJECTED,
        (_S.ENCODING, _E.RESTARTED): _S.PENDING,
        (_S.READY, _E.CHOSEN): _S.ENCODING,
        (_S.READY, _E.STARTED): _S.SENDING,
        (_S.READY, _E.PASSED_OVER): _S.PENDING,
        (_S.READY, _E.HOLD): _S.HELD,
        (_S.READY, _E.REJECT): _S.REJECTED,
        (_S.READY, _E.REVISED): _S.PENDING,
        # The check of the bytes is as old as the power cut may be long: it is made again.
        (_S.READY, _E.RESTARTED): _S.PENDING,
        (_S.SENDING, _E.ACCEPTED): _S.SENT,
        (_S.SENDING, _E.ANNOUNCED): _S.PENDING,
        (_S.SENDING, _E.FAILED): _S.PENDING,
        (_S.SENDING, _E.INTERRUPTED): _S.PENDING,
        (_S.SENDING, _E.CANCELLED): _S.PENDING,
        (_S.SENDING, _E.REFUSED): _S.REJECTED,
        (_S.SENDING, _E.HOLD): _S.HELD,
        (_S.SENDING, _E.REJECT): _S.REJECTED,
        # Whether the answer was lost is unknown: it is offered again, duplicates are harmless.
        (_S.SENDING, _E.RESTARTED): _S.PENDING,
        (_S.SENT, _E.VERIFIED): _S.CONFIRMED,
        (_S.SENT, _E.BROUGHT): _S.CONFIRMED,
        (_S.SENT, _E.ABSENT): _S.PENDING,
        (_S.SENT, _E.CONFLICT): _S.REJECTED,
        (_S.SENT, _E.REVISED): _S.PENDING,
        (_S.SENT, _E.RESTARTED): _S.SENT,
        # The check before eviction may find that a restored centre forgot, or holds something else now.
        (_S.CONFIRMED, _E.ABSENT): _S.PENDING,
        (_S.CONFIRMED, _E.CONFLICT): _S.REJECTED,
        (_S.CONFIRMED, _E.REVISED): _S.PENDING,
        (_S.CONFIRMED, _E.RESTARTED): _S.CONFIRMED,
        (_S.HELD, _E.RELEASE): _S.PENDING,
        (_S.HELD, _E.BROUGHT): _S.CONFIRMED,
        (_S.HELD, _E.REJECT): _S.REJECTED,
        # Often the very reason for the hold; who held it releases it.
        (_S.HELD, _E.REVISED): _S.HELD,
        (_S.HELD, _E.RESTARTED): _S.HELD,
        (_S.REJECTED, _E.RETRY): _S.PENDING,
        # Damaged here, whole at the centre. What a person must decide for other reasons is not brought.
        (_S.REJECTED, _E.BROUGHT): _S.CONFIRMED,
        # What was wrong with it may be mended. Pictures that a person rejected are not revised while they are.
        (_S.REJECTED, _E.REVISED): _S.PENDING,
        (_S.REJECTED, _E.RESTARTED): _S.REJECTED,
    }
)

WAITING = frozenset({ItemState.PENDING, ItemState.READY})
"""What a candidate may be in; ``ready`` without an owner is checked again."""
UNDER_WAY = frozenset({ItemState.ENCODING, ItemState.READY, ItemState.SENDING})
"""What only an engine that runs can own; after a restart nobody does."""


class IllegalMove(Exception):
    """The table has no such move; a defect of the caller, never of the world."""


def move(state: ItemState, event: ItemEvent) -> ItemState:
    """The state that follows.

    Raises:
        IllegalMove: If the table has no row for the pair.
    """
    try:
        return TABLE[state, event]
    except KeyError:
        raise IllegalMove(f"an item in {state!r} cannot be {event!r}") from None


def allows(state: ItemState, event: ItemEvent) -> bool:
    """Whether the table has a row for the pair."""
    return (state, event) in TABLE
