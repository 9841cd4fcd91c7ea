"""What the engine asks for: records are committed together in one transaction, actions start only after that commit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.domain.eta import Goodput
from appliance.domain.failure import Failure
from appliance.domain.values import ItemState, LinkKind, LinkState, OutboxItem, Priority, Receipt, TrafficClass


class Step(StrEnum):
    """What a transfer tells of its items."""

    ANNOUNCE = "announce"
    """Manifest and preview, so that the centre sees a study long before it has it."""
    FULL = "full"


@dataclass(frozen=True, slots=True)
class MoveItem:
    """Record: the item changes state; the store also writes one journal row (invariant 4).

    The store applies it only if the row still is in ``from_state``; otherwise it leaves the row and whatever else
    belongs to this item in the transaction (``KeepReceipt``) alone, applies the rest, and the runner answers with
    ``StateLost``. ``failure`` replaces what the row said before; ``None`` clears it. ``announced`` likewise says that
    the item is announced now, or no more; ``None`` leaves what the row says. ``revision_id`` says what it is about from
    now on. An item that is not about its latest revision is not taken up: a move to ``encoding`` is then refused as if
    it were in another state.
    """

    item_id: int
    from_state: ItemState
    to_state: ItemState
    event: str
    attempt_count: int
    failure: Failure | None = None
    actor: str = "sync"
    announced: bool | None = None
    revision_id: int | None = None


@dataclass(frozen=True, slots=True)
class KeepReceipt:
    """Record: the proof for a ``confirmed`` item; always in the transaction of its ``MoveItem``."""

    item_id: int
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class NoteRecheck:
    """Record: a ``confirmed`` item was proved once more; ``checked_again_at`` is now, and the proof is of its epoch."""

    item_id: int
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class NoteFailure:
    """Record: what people are shown of an item that stays where it is (``sent``, but not proved yet)."""

    item_id: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class NoteDamage:
    """Record: the stored bytes are unreadable or not what was kept: the instance is marked and an alarm raised."""

    item_id: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class SetPriority:
    """Record: a person made these items STAT or routine; journalled like a move."""

    item_ids: tuple[int, ...]
    priority: Priority
    actor: str


@dataclass(frozen=True, slots=True)
class OpenTransfer:
    """Record: an attempt begins; ``transfer_id`` was made by the engine and is unique in this unit's life."""

    transfer_id: int
    destination: str
    item_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CloseTransfer:
    """Record: the attempt ended."""

    transfer_id: int
    bytes_sent: int
    accepted_count: int
    failure: Failure | None
    destination: str = ""
    coded: tuple[tuple[int, int], ...] = ()
    """How long items are on their link, ``(item_id, bytes)``."""


@dataclass(frozen=True, slots=True)
class NoteLink:
    """Record: what people are shown of the link; ``retry_in_s`` is from now, ``None`` when it is up."""

    destination: str
    state: LinkState
    failure: Failure | None
    retry_in_s: float | None


@dataclass(frozen=True, slots=True)
class NoteEpoch:
    """Record: the centre's epoch. If it is another one than before, nothing waiting there counts as announced any more.

    From this commit on every receipt from an earlier epoch is known to need another look, whatever happens to us.
    """

    destination: str
    epoch: str


@dataclass(frozen=True, slots=True)
class NoteRate:
    """Record: what people are shown of the link's speed; comes only when it changed."""

    destination: str
    goodput: Goodput | None
    round_trip_s: float | None


@dataclass(frozen=True, slots=True)
class NoteUsage:
    """Record: so many more bytes went over a kind of link that has a budget, on the account of ``day``."""

    kind: LinkKind
    day: str
    link_bytes: int


@dataclass(frozen=True, slots=True)
class FinishCommand:
    """Record: a command was carried out or refused, with a sentence."""

    command_id: int
    outcome: str


@dataclass(frozen=True, slots=True)
class SettleBrought:
    """Record: a brought receipt was used or is of no use; left out when the item's move of this transaction is."""

    brought_id: int
    item_id: int
    outcome: str


Record = (
    MoveItem
    | KeepReceipt
    | NoteRecheck
    | NoteFailure
    | NoteDamage
    | SetPriority
    | OpenTransfer
    | CloseTransfer
    | NoteLink
    | NoteEpoch
    | NoteRate
    | NoteUsage
    | FinishCommand
    | SettleBrought
)


@dataclass(frozen=True, slots=True)
class NeedCandidates:
    """Action: offer up to ``count`` waiting items (``pending`` or ``ready``) that are not in ``skip_item_ids``.

    The order is class, age, size, item id; only items of ``classes`` are offered. Where ``announces`` is set an item
    not announced yet is of a preview class, elsewhere there are no such classes. ``skip_item_ids`` holds items in
    flight and in back-off and is bounded (``LimitSet.backoff_item_count_max``). After a try that came to nothing, and
    now and then while more fail than are remembered, ``least_tried_first`` puts attempts before age: a failing item
    keeps no untried one waiting. ``with_oldest`` asks for the longest waiting routine item too. Always answered with
    ``CandidatesOffered``, also when nothing waits.
    """

    destination: str
    count: int
    skip_item_ids: tuple[int, ...] = ()
    least_tried_first: bool = False
    classes: tuple[TrafficClass, ...] = tuple(TrafficClass)
    announces: bool = False
    with_oldest: bool = False


@dataclass(frozen=True, slots=True)
class NeedSent:
    """Action: offer up to ``count`` items in ``sent`` with an id above ``after_item_id``, by item id.

    The engine walks through all of them round and round, so it remembers one number and none can be forgotten.
    Always answered with ``SentOffered``; an empty answer means that the end was reached.
    """

    destination: str
    count: int
    after_item_id: int


@dataclass(frozen=True, slots=True)
class NeedConfirmed:
    """Action: offer up to ``count`` confirmed items, by id above ``after_item_id``, that want another look.

    Those are the ones whose file is still on this unit and whose receipt is not of this ``epoch``. Always answered with
    ``ConfirmedOffered``; an empty answer means that the end was reached.
    """

    destination: str
    epoch: str
    count: int
    after_item_id: int


@dataclass(frozen=True, slots=True)
class PrepareItems:
    """Action: read the bytes back and compare their digest; always answers ``Prepared`` or ``PrepareFailed`` each."""

    destination: str
    items: tuple[OutboxItem, ...]


@dataclass(frozen=True, slots=True)
class StartTransfer:
    """Action: send, or announce, these items in this order.

    Report each (``ItemAccepted`` or ``ItemAnnounced``, or ``ItemFailed``), then always ``TransferEnded``, whatever went
    wrong; meanwhile ``BytesMoved`` every few seconds.
    """

    transfer_id: int
    destination: str
    items: tuple[OutboxItem, ...]
    step: Step = Step.FULL


@dataclass(frozen=True, slots=True)
class StartVerification:
    """Action: ask the destination to prove that it holds these; report each, then always ``VerificationEnded``."""

    verification_id: int
    destination: str
    items: tuple[OutboxItem, ...]


@dataclass(frozen=True, slots=True)
class CancelTransfer:
    """Action: stop the attempt as soon as the item in flight allows (a STAT study waits, or a person holds it)."""

    transfer_id: int


@dataclass(frozen=True, slots=True)
class ProbeLink:
    """Action: find out whether the destination can be reached; always answers with ``LinkChanged``."""

    destination: str


Action = (
    NeedCandidates
    | NeedSent
    | NeedConfirmed
    | PrepareItems
    | StartTransfer
    | StartVerification
    | CancelTransfer
    | ProbeLink
)
Effect = Record | Action
