"""What the engine asks for: records are committed together in one transaction, actions start only after that commit."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.failure import Failure
from appliance.domain.values import ItemState, LinkState, OutboxItem, Receipt


@dataclass(frozen=True, slots=True)
class MoveItem:
    """Record: the item changes state; the store also writes one journal row (invariant 4).

    The store applies it only if the row still is in ``from_state``; otherwise it answers with ``StateLost``.
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


Record = MoveItem | KeepReceipt | OpenTransfer | CloseTransfer | NoteLink | FinishCommand


@dataclass(frozen=True, slots=True)
class NeedCandidates:
    """Action: offer up to ``count`` waiting items (``pending`` or ``ready``, not in ``busy_item_ids``)."""

    destination: str
    count: int


@dataclass(frozen=True, slots=True)
class PrepareItems:
    """Action: read the bytes back and compare their digest; answer ``Prepared`` or ``PrepareFailed`` for each."""

    destination: str
    items: tuple[OutboxItem, ...]


@dataclass(frozen=True, slots=True)
class StartTransfer:
    """Action: send these items in this order; report each, then ``TransferEnded``."""

    transfer_id: int
    destination: str
    items: tuple[OutboxItem, ...]


@dataclass(frozen=True, slots=True)
class StartVerification:
    """Action: ask the destination to prove that it holds these items; report each, then ``VerificationEnded``."""

    verification_id: int
    destination: str
    items: tuple[OutboxItem, ...]


@dataclass(frozen=True, slots=True)
class CancelTransfer:
    """Action: stop the attempt as soon as the item in flight allows (a STAT study waits, or a person holds it)."""

    transfer_id: int


@dataclass(frozen=True, slots=True)
class ProbeLink:
    """Action: find out whether the destination can be reached; answer ``LinkChanged``."""

    destination: str


Action = NeedCandidates | PrepareItems | StartTransfer | StartVerification | CancelTransfer | ProbeLink
Effect = Record | Action
