"""What the world tells the engine; wall time appears only as data inside, ``now`` comes beside and is monotonic."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.failure import Failure
from appliance.domain.values import LinkKind, OutboxItem, Receipt


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
    epochs: tuple[tuple[str, str], ...] = ()
    """What each centre last called its life, by destination, where it says so."""


@dataclass(frozen=True, slots=True)
class CandidatesOffered:
    """The store's answer to ``NeedCandidates``: the best few waiting items, in the store's order."""

    destination: str
    items: tuple[OutboxItem, ...]
    oldest: OutboxItem | None = None
    """When asked for: the routine item that waits longest, whether it is among ``items`` or not."""


@dataclass(frozen=True, slots=True)
class SentOffered:
    """The store's answer to ``NeedSent``; empty when no item in ``sent`` has a higher id."""

    destination: str
    items: tuple[OutboxItem, ...]


@dataclass(frozen=True, slots=True)
class ConfirmedOffered:
    """The store's answer to ``NeedConfirmed``; empty when no such item has a higher id."""

    destination: str
    items: tuple[OutboxItem, ...]


@dataclass(frozen=True, slots=True)
class EpochSeen:
    """What the centre calls its life since it was last restored from a backup.

    Another one than before means that it may have forgotten what it confirmed: all of it is proved again.
    """

    destination: str
    epoch: str


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
class ItemAnnounced:
    """The destination knows of the item, and shows its preview if there is one."""

    transfer_id: int
    item_id: int


@dataclass(frozen=True, slots=True)
class ItemFailed:
    """The destination did not take this item, or said nothing of it."""

    transfer_id: int
    item_id: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class BytesMoved:
    """A running transfer handed so many bytes to its link in so many seconds, since it last said so."""

    destination: str
    transfer_id: int
    link_bytes: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class TransferEnded:
    """The attempt is over; items it never reported on were not taken.

    ``failure`` is of the attempt as a whole: the destination is then treated as down (``LINK``, ``PERMANENT``) or busy
    (``TRANSIENT``), and only the first unreported item, the one that was in flight, is charged with an attempt.
    """

    transfer_id: int
    bytes_sent: int
    failure: Failure | None = None
    coded: tuple[tuple[int, int], ...] = ()
    """How long items are on this link, ``(item_id, bytes)``, as far as that was found out."""


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
class ReceiptBrought:
    """A receipt of the destination came by another way than the link; its signature is checked already.

    ``item`` is the row as it is. Told again until ``SettleBrought`` comes: while an attempt has the item, nothing
    happens.
    """

    brought_id: int
    item: OutboxItem
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class RevisionWanted:
    """A correction took the place of what this item is about; ``item`` is the row as it is.

    Told again until the item is moved on; meanwhile the store does not offer it. While an attempt has it, the attempt
    is asked to stop, and what it reports counts as ever: it is true of what was sent.
    """

    item: OutboxItem
    revision_id: int
    """The latest; 0 when corrections were undone and the original is owed again."""
    actor: str = "sync"


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
class RoundTripSeen:
    """One small exchange with the destination took so many seconds."""

    destination: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class NetworkCameUp:
    """The machine has a way to the world again, or another one; whether it leads to the centre is not said."""


@dataclass(frozen=True, slots=True)
class LinkKindChanged:
    """The unit's way to the world is of another kind now; a metered one counts as ``sim``."""

    kind: LinkKind


@dataclass(frozen=True, slots=True)
class ClockSeen:
    """What the wall clock says now, and what was used of the day's budgets.

    Comes at the start, every minute, and when the clock steps or is believed again. ``day`` names the account that
    bytes are booked on; ``used`` has the bytes booked on it, for each kind of link that has any.
    """

    wall_s: float
    day: str
    second_of_day: float
    verified: bool
    used: tuple[tuple[LinkKind, int], ...] = ()


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
    | ConfirmedOffered
    | EpochSeen
    | WorkArrived
    | Prepared
    | PrepareFailed
    | ItemAccepted
    | ItemAnnounced
    | ItemFailed
    | BytesMoved
    | TransferEnded
    | ItemVerified
    | ItemUnverified
    | ReceiptBrought
    | RevisionWanted
    | VerificationEnded
    | RecheckWanted
    | LinkChanged
    | RoundTripSeen
    | NetworkCameUp
    | LinkKindChanged
    | ClockSeen
    | CommandGiven
    | DeadlineReached
    | StateLost
)
