"""What the engine asks for: records are committed together in one transaction, actions start only after that commit."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.failure import Failure
from appliance.domain.values import ItemState, LinkState, OutboxItem, Priority, Receipt


@dataclass(frozen=True, slots=True)
class MoveItem:
    """Record: the item changes state; the store also writes one journal row (invariant 4).

    The store applies it only if the row still is in ``from_state``; otherwise it leaves the row and whatever else
    belongs to this item in the transaction (``KeepReceipt``) alone, applies the rest, and the runner answers with
    ``StateLost``. ``failure`` replaces what the row said before; ``None`` clears it.
    """

    item_id: int
    from_state: ItemState
    to_state: ItemState
    event: str
    attempt_count: int
    failure: Failure | None = None
    actor: str = "sync"


@dataclass(frozen=True, slots=True)
class KeepReceipt:
    """Record: the proof for a ``confirmed`` item; always in the transaction of its ``MoveItem``."""

    item_id: int
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class NoteRecheck:
    """Record: a ``confirmed`` item was proved once more (before eviction); ``checked_again_at`` is now."""

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


@dataclass(frozen=True, slots=True)
class NoteLink:
    """Record: what people are shown of the link; ``retry_in_s`` is from now, ``None`` when it is up."""

    destination: str
    state: LinkState
    failure: Failure | None
    retry_in_s: float | None


@dataclass(frozen=True, slots=True)
class FinishCommand:
    """Record: a command was carried out or refused, with a sentence."""

    command_id: int
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
    | FinishCommand
)


@dataclass(frozen=True, slots=True)
class NeedCandidates:
    """Action: offer up to ``count`` waiting items (``pending`` or ``ready``) that are not in ``skip_item_ids``.

    The order is STAT, age, size, item id. ``skip_item_ids`` holds items in flight and in back-off and is bounded
    (``LimitSet.backoff_item_count_max``). After a try that came to nothing, and now and then while more fail than
    are remembered, ``least_tried_first`` puts attempts before age: a failing item keeps no untried one waiting.
    Always answered with ``CandidatesOffered``, also when nothing waits.
    """

    destination: str
    count: int
    skip_item_ids: tuple[int, ...] = ()
    least_tried_first: bool = False


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
class PrepareItems:
    """Action: read the bytes back and compare their digest; always answers ``Prepared`` or ``PrepareFailed`` each."""

    destination: str
    items: tuple[OutboxItem, ...]


@dataclass(frozen=True, slots=True)
class StartTransfer:
    """Action: send these items in this order; report each, then always ``TransferEnded``, whatever went wrong."""

    transfer_id: int
    destination: str
    items: tuple[OutboxItem, ...]


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


Action = NeedCandidates | NeedSent | PrepareItems | StartTransfer | StartVerification | CancelTransfer | ProbeLink
Effect = Record | Action
