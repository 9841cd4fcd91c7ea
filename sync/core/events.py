"""What the world tells the engine; wall time appears only as data inside, ``now`` comes beside and is monotonic."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.failure import Failure
from appliance.domain.values import OutboxItem, Receipt


@dataclass(frozen=True, slots=True)
class Restarted:
    """The engine starts over a store that may hold items in the middle of something.

    ``unfinished`` are all items in ``encoding``, ``ready`` or ``sending``, a number bounded by what was in flight; the
    machine's ``restarted`` row moves each to where it is safe to go on from. Items in ``sent`` may be many and are
    walked through by ``NeedSent``.
    """

    unfinished: tuple[OutboxItem, ...]
    destinations: tuple[str, ...]
    transfer_id_last: int = 0
    """The highest transfer id ever recorded on this unit; the engine counts on from it."""


@dataclass(frozen=True, slots=True)
class CandidatesOffered:
    """The store's answer to ``NeedCandidates``: the best few waiting items, in the store's order."""

    destination: str
    items: tuple[OutboxItem, ...]


@dataclass(frozen=True, slots=True)
class SentOffered:
    """The store's answer to ``NeedSent``; empty when no item in ``sent`` has a higher id."""

    destination: str
    items: tuple[OutboxItem, ...]


@dataclass(frozen=True, slots=True)
class WorkArrived:
    """Something new waits (intake, a command); the engine asks for candidates again."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The item's bytes were read back from disk and have the digest they must have."""

    item_id: int


@dataclass(frozen=True, slots=True)
class PrepareFailed:
    """The item's bytes cannot be read or are not what was kept."""

    item_id: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class ItemAccepted:
    """The destination says it took the bytes; not yet proof."""

    transfer_id: int
    item_id: int


@dataclass(frozen=True, slots=True)
class ItemFailed:
    """The destination did not take this item, or said nothing of it."""

    transfer_id: int
    item_id: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class TransferEnded:
    """The attempt is over; items it never reported on were not taken.

    ``failure`` is of the attempt as a whole: the destination is then treated as down (``LINK``, ``PERMANENT``) or busy
    (``TRANSIENT``), and only the first unreported item, the one that was in flight, is charged with an attempt.
    """

    transfer_id: int
    bytes_sent: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class ItemVerified:
    """The destination proved to hold the item's digest."""

    item_id: int
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class ItemUnverified:
    """The proof failed: absent there, other bytes there (``PERMANENT``), or no answer."""

    item_id: int
    failure: Failure
    absent: bool = False
    """True when the destination answered and does not hold the item: it must be sent again."""


@dataclass(frozen=True, slots=True)
class VerificationEnded:
    """The verification attempt is over; unreported items are asked about again later."""

    verification_id: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class RecheckWanted:
    """Before eviction the destination shall prove once more that it holds these ``confirmed`` items (bounded page)."""

    destination: str
    items: tuple[OutboxItem, ...]


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The way to a destination came up or went down, by probe or by the machine's network state."""

    destination: str
    up: bool
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class CommandGiven:
    """A person's wish for some items: ``hold``, ``release``, ``retry``, ``stat``, ``routine``, ``reject``.

    ``FinishCommand`` comes when the wish is fulfilled for every item; for ``hold`` and ``reject`` that is after a
    running attempt reported. A command without it is given again after a restart.
    """

    command_id: int
    kind: str
    items: tuple[OutboxItem, ...]
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """``next_deadline()`` has come."""


@dataclass(frozen=True, slots=True)
class StateLost:
    """The store refused a ``MoveItem`` because the row was in another state; ``item`` is the row as it is."""

    item: OutboxItem


Event = (
    Restarted
    | CandidatesOffered
    | SentOffered
    | WorkArrived
    | Prepared
    | PrepareFailed
    | ItemAccepted
    | ItemFailed
    | TransferEnded
    | ItemVerified
    | ItemUnverified
    | VerificationEnded
    | RecheckWanted
    | LinkChanged
    | CommandGiven
    | DeadlineReached
    | StateLost
)
