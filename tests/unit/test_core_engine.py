"""The engine one decision at a time: what people and the scheduler rely on, told as short stories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import pytest

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import Evidence, ItemState, LinkState, OutboxItem, Priority, Receipt
from sync.core.effects import (
    CancelTransfer,
    Effect,
    FinishCommand,
    KeepReceipt,
    MoveItem,
    NeedCandidates,
    NeedSent,
    NoteDamage,
    NoteLink,
    NoteRecheck,
    PrepareItems,
    ProbeLink,
    StartTransfer,
    StartVerification,
)
from sync.core.engine import Engine
from sync.core.events import (
    CandidatesOffered,
    CommandGiven,
    DeadlineReached,
    Event,
    ItemAccepted,
    ItemFailed,
    ItemUnverified,
    ItemVerified,
    LinkChanged,
    Prepared,
    PrepareFailed,
    RecheckWanted,
    Restarted,
    SentOffered,
    StateLost,
    TransferEnded,
    VerificationEnded,
    WorkArrived,
)
from sync.core.policy import Policy

SHA = "a" * 64
BUSY = Failure(FailureKind.TRANSIENT, "http-503", "The centre is busy.")
BROKEN = Failure(FailureKind.LINK, "link-broken", "The connection broke.")
REFUSED = Failure(FailureKind.PERMANENT, "http-400", "The centre does not take this image.")
T = TypeVar("T")


def item(item_id: int, priority: Priority = Priority.ROUTINE, state: ItemState = ItemState.PENDING) -> OutboxItem:
    return OutboxItem(
        item_id=item_id,
        destination="north",
        state=state,
        sop_instance_uid=f"1.2.{item_id}",
        study_instance_uid="1.2",
        priority=priority,
        size_bytes=1000,
        sha256=SHA,
        queued_at_s=float(item_id),
    )


def receipt(item_id: int) -> Receipt:
    return Receipt("north", f"1.2.{item_id}", SHA, Evidence("wado", SHA))


class Story:
    """An engine with one destination, and what it last asked for."""

    def __init__(self, *offered: OutboxItem, policy: Policy | None = None) -> None:
        self.engine = Engine(policy or Policy())
        self.now = 0.0
        self.hear(Restarted((), ("north",), transfer_id_last=40))
        self.hear(LinkChanged("north", True))
        self.hear(SentOffered("north", ()))
        self.hear(CandidatesOffered("north", offered))

    def hear(self, event: Event) -> list[Effect]:
        return self.engine.handle(event, self.now)

    def sending(self) -> list[Effect]:
        """Prepare everything; the transfer that starts has number 41."""
        effects: list[Effect] = []
        for lane in self.engine.state.lanes.values():
            for item_id in list(lane.in_flight()):
                effects = self.hear(Prepared(item_id))
        return effects


def only(effects: Iterable[Effect], kind: type[T]) -> T:
    (found,) = [effect for effect in effects if isinstance(effect, kind)]
    return found


def moves(effects: Iterable[Effect]) -> list[tuple[int, str]]:
    return [(effect.item_id, effect.to_state) for effect in effects if isinstance(effect, MoveItem)]


def test_start_probes_every_destination_before_anything_is_sent() -> None:
    effects = Engine(Policy()).handle(Restarted((), ("north", "south")), 0.0)
    assert effects == [ProbeLink("north"), ProbeLink("south")]


def test_item_goes_from_pending_to_confirmed_only_with_a_receipt() -> None:
    story = Story()
    story.hear(WorkArrived())
    assert moves(story.hear(CandidatesOffered("north", (item(1),)))) == [(1, "encoding")]
    started = story.hear(Prepared(1))
    assert moves(started) == [(1, "ready"), (1, "sending")]
    assert only(started, StartTransfer).transfer_id == 41
    assert moves(story.hear(ItemAccepted(41, 1))) == [(1, "sent")]
    ended = story.hear(TransferEnded(41, 1000))
    assert moves(ended) == []
    verification = only(ended, StartVerification)
    proved = story.hear(ItemVerified(1, receipt(1)))
    assert moves(proved) == [(1, "confirmed")]
    assert only(proved, KeepReceipt).receipt == receipt(1)
    story.hear(VerificationEnded(verification.verification_id))


def test_stat_arrival_cancels_a_routine_transfer_between_items() -> None:
    story = Story(item(1), item(2))
    story.sending()
    assert only(story.hear(WorkArrived()), NeedCandidates)
    effects = story.hear(CandidatesOffered("north", (item(3, Priority.STAT),)))
    assert effects == [CancelTransfer(41)]
    story.hear(ItemAccepted(41, 1))
    ended = story.hear(TransferEnded(41, 1000))
    assert moves(ended) == [(2, "pending")]
    assert only(ended, NeedCandidates).skip_item_ids == ()
    assert story.engine.state.lanes["north"].rest_until_mono_s <= story.now, "giving way is no failure"


def test_prepared_batch_waits_for_the_answer_that_may_hold_something_urgent() -> None:
    story = Story(item(1))
    story.hear(WorkArrived())
    assert not any(isinstance(effect, StartTransfer) for effect in story.hear(Prepared(1)))
    assert moves(story.hear(CandidatesOffered("north", (item(2, Priority.STAT),))))[0] == (1, "pending")


def test_hold_while_sending_takes_effect_when_the_attempt_reports() -> None:
    story = Story(item(1), item(2))
    story.sending()
    given = story.hear(CommandGiven(7, "hold", (item(1), item(2)), "nurse"))
    assert given == [CancelTransfer(41)]
    story.hear(ItemAccepted(41, 1))
    ended = story.hear(TransferEnded(41, 1000))
    assert moves(ended) == [(2, "held")]
    assert only(ended, FinishCommand) == FinishCommand(7, "1 image on hold. 1 image had gone on before.")


def test_command_given_twice_is_carried_out_once() -> None:
    story = Story(item(1))
    story.sending()
    story.hear(CommandGiven(7, "hold", (item(1),), "nurse"))
    assert story.hear(CommandGiven(7, "hold", (item(1),), "nurse")) == []


@pytest.mark.parametrize(
    ("kind", "state", "after"),
    [
        ("hold", ItemState.PENDING, [(1, "held")]),
        ("release", ItemState.HELD, [(1, "pending")]),
        ("retry", ItemState.REJECTED, [(1, "pending")]),
        ("reject", ItemState.HELD, [(1, "rejected")]),
        ("hold", ItemState.CONFIRMED, []),
        ("retry", ItemState.SENT, []),
        ("dance", ItemState.PENDING, []),
    ],
)
def test_command_moves_waiting_item_and_is_always_answered(
    kind: str, state: ItemState, after: list[tuple[int, str]]
) -> None:
    effects = Story().hear(CommandGiven(7, kind, (item(1, state=state),), "nurse"))
    assert moves(effects) == after
    assert only(effects, FinishCommand).outcome.endswith(".")
    assert all(effect.actor == "nurse" for effect in effects if isinstance(effect, MoveItem))


@pytest.mark.fault(21)
@pytest.mark.fault(17)
def test_damaged_item_is_set_aside_and_the_others_are_sent() -> None:
    story = Story(item(1), item(2))
    damage = Failure(FailureKind.PERMANENT, "digest-mismatch", "The stored image is damaged.")
    effects = story.hear(PrepareFailed(1, damage))
    assert moves(effects) == [(1, "rejected")]
    assert only(effects, NoteDamage).item_id == 1
    assert [each.item_id for each in only(story.hear(Prepared(2)), StartTransfer).items] == [2]


@pytest.mark.fault(43)
def test_failing_item_waits_alone_while_the_others_go_on() -> None:
    story = Story(item(1), item(2))
    story.sending()
    failed = story.hear(ItemFailed(41, 1, BUSY))
    assert only(failed, MoveItem).attempt_count == 1
    assert set(only(failed, NeedCandidates).skip_item_ids) == {1, 2}
    story.hear(CandidatesOffered("north", ()))
    story.hear(ItemAccepted(41, 2))
    assert only(story.hear(TransferEnded(41, 1000)), NeedCandidates).skip_item_ids == (1,)


@pytest.mark.fault(41)
def test_broken_link_charges_only_the_item_that_was_in_flight() -> None:
    story = Story(item(1), item(2), item(3))
    story.sending()
    story.hear(ItemAccepted(41, 1))
    ended = story.hear(TransferEnded(41, 1000, BROKEN))
    assert {each.item_id: each.attempt_count for each in ended if isinstance(each, MoveItem)} == {2: 1, 3: 0}
    assert only(ended, NoteLink).state is LinkState.DOWN
    story.now = 400.0
    assert only(story.hear(DeadlineReached()), ProbeLink)


@pytest.mark.fault(41)
@pytest.mark.parametrize(
    ("resumes", "bytes_sent", "soon"), [(True, 1 << 20, True), (True, 1000, False), (False, 1 << 20, False)]
)
def test_link_is_looked_at_soon_after_every_outage_as_long_as_each_transfer_carries_something(
    resumes: bool, bytes_sent: int, soon: bool
) -> None:
    story = Story(policy=Policy(announcing=frozenset({"north"} if resumes else ())))
    waits_s = []
    for transfer_id in range(41, 53):
        story.hear(LinkChanged("north", True))
        story.hear(WorkArrived())
        story.hear(CandidatesOffered("north", (replace(item(1), announced=True),)))
        story.sending()
        story.hear(CandidatesOffered("north", ()))
        note = only(story.hear(TransferEnded(transfer_id, bytes_sent, BROKEN)), NoteLink)
        assert note.retry_in_s is not None
        waits_s.append(note.retry_in_s)
        story.now += 1000.0
    assert (waits_s[-1] <= 2.0) is soon


def test_item_that_breaks_the_link_lets_the_others_go_first() -> None:
    story = Story(item(1), item(2))
    story.sending()
    story.hear(TransferEnded(41, 0, BROKEN))
    assert only(story.hear(LinkChanged("north", True)), NeedCandidates).skip_item_ids == (1,)


def test_item_that_broke_the_link_goes_at_once_when_nothing_else_waits() -> None:
    story = Story(item(1))
    story.sending()
    story.hear(TransferEnded(41, 0, BROKEN))
    story.hear(LinkChanged("north", True))
    assert only(story.hear(CandidatesOffered("north", ())), NeedCandidates).skip_item_ids == ()


def test_whole_attempt_refused_puts_the_destination_down_and_no_item_aside() -> None:
    story = Story(item(1))
    story.sending()
    ended = story.hear(TransferEnded(41, 0, replace(REFUSED, code="unit-unknown")))
    assert moves(ended) == [(1, "pending")]
    assert only(ended, NoteLink).failure == replace(REFUSED, code="unit-unknown")


@pytest.mark.fault(46)
def test_item_without_a_report_counts_as_not_taken() -> None:
    story = Story(item(1))
    story.sending()
    ended = only(story.hear(TransferEnded(41, 1000)), MoveItem)
    assert (ended.to_state, ended.attempt_count) == (ItemState.PENDING, 1)
    assert ended.failure is not None


@pytest.mark.fault(43)
def test_destination_that_names_a_time_for_everything_is_left_alone_until_then() -> None:
    story = Story(item(1))
    story.sending()
    story.hear(ItemFailed(41, 1, replace(BUSY, retry_after_s=120.0)))
    story.hear(TransferEnded(41, 0))
    assert story.hear(WorkArrived()) == []
    deadline = story.engine.next_deadline()
    assert deadline is not None
    assert deadline >= 120.0


@pytest.mark.fault(9)
@pytest.mark.parametrize("state", [ItemState.ENCODING, ItemState.READY, ItemState.SENDING])
def test_restart_offers_again_what_was_under_way(state: ItemState) -> None:
    effects = Engine(Policy()).handle(Restarted((item(1, state=state),), ("north",)), 0.0)
    assert moves(effects) == [(1, "pending")]


def test_restart_frees_items_of_a_destination_that_is_gone() -> None:
    effects = Engine(Policy()).handle(Restarted((item(1, state=ItemState.SENDING),), ()), 0.0)
    assert moves(effects) == [(1, "pending")]


@pytest.mark.fault(48)
def test_proof_is_asked_for_round_and_round_without_end() -> None:
    story = Story()
    sent = tuple(item(number, state=ItemState.SENT) for number in (1, 2))
    story.engine.state.lanes["north"].proof.sent_maybe = True
    assert only(story.hear(DeadlineReached()), NeedSent).after_item_id == 0
    for _ in range(5):
        verification = only(story.hear(SentOffered("north", sent)), StartVerification)
        story.hear(ItemUnverified(1, BUSY))
        assert story.hear(VerificationEnded(verification.verification_id)) == []
        story.now += 60.0
        assert only(story.hear(DeadlineReached()), NeedSent).after_item_id == 2
        assert only(story.hear(SentOffered("north", ())), NeedSent).after_item_id == 0


@pytest.mark.fault(53)
def test_recheck_that_finds_nothing_sends_the_confirmed_item_again() -> None:
    story = Story()
    confirmed = (item(1, state=ItemState.CONFIRMED), item(2, state=ItemState.CONFIRMED))
    assert only(story.hear(RecheckWanted("north", confirmed)), StartVerification)
    assert only(story.hear(ItemVerified(1, receipt(1))), NoteRecheck).item_id == 1
    assert moves(story.hear(ItemUnverified(2, BUSY, absent=True))) == [(2, "pending")]


def test_lost_state_frees_the_row_that_nobody_owns() -> None:
    story = Story(item(1))
    assert moves(story.hear(StateLost(item(1, state=ItemState.SENDING)))) == [(1, "pending")]
    assert story.hear(Prepared(1)) == []


def test_ten_thousand_waiting_items_leave_only_a_page_in_memory() -> None:
    story = Story()
    policy = Policy()
    story.hear(WorkArrived())
    page = tuple(item(number) for number in range(policy.limits.candidate_count_max))
    asked = only(story.hear(CandidatesOffered("north", page)), PrepareItems)
    assert len(asked.items) == policy.limits.transfer_item_count_max
    assert len(list(story.engine.state.lanes["north"].in_flight())) == policy.limits.transfer_item_count_max
