"""The transition table: every row does what it says, every other pair is refused."""

from __future__ import annotations

import itertools

import pytest

from appliance.domain.values import ItemState
from sync.core.machine import TABLE, UNDER_WAY, IllegalMove, ItemEvent, allows, move

ALL_PAIRS = list(itertools.product(ItemState, ItemEvent))


@pytest.mark.parametrize(("state", "event"), [pair for pair in ALL_PAIRS if pair in TABLE])
def test_legal_move_leads_where_the_table_says(state: ItemState, event: ItemEvent) -> None:
    assert move(state, event) is TABLE[state, event]
    assert allows(state, event)


@pytest.mark.parametrize(("state", "event"), [pair for pair in ALL_PAIRS if pair not in TABLE])
def test_move_outside_the_table_raises(state: ItemState, event: ItemEvent) -> None:
    assert not allows(state, event)
    with pytest.raises(IllegalMove, match=event.value):
        move(state, event)


def test_only_proof_leads_to_confirmed() -> None:
    into = {(state, event) for (state, event), to in TABLE.items() if to is ItemState.CONFIRMED and state is not to}
    brought = {ItemState.PENDING, ItemState.SENT, ItemState.HELD, ItemState.REJECTED}
    assert into == {(ItemState.SENT, ItemEvent.VERIFIED), *((state, ItemEvent.BROUGHT) for state in brought)}


def test_only_an_accepted_attempt_leads_to_sent() -> None:
    into = {(state, event) for (state, event), to in TABLE.items() if to is ItemState.SENT and state is not to}
    assert into == {(ItemState.SENDING, ItemEvent.ACCEPTED)}


def test_restart_has_a_row_for_every_state_and_leaves_nothing_half_way() -> None:
    for state in ItemState:
        after = move(state, ItemEvent.RESTARTED)
        assert after not in UNDER_WAY
        assert after is (ItemState.PENDING if state in UNDER_WAY else state)


def test_every_state_but_confirmed_can_still_reach_confirmed() -> None:
    reaches = {ItemState.CONFIRMED}
    for _ in ItemState:
        reaches |= {state for (state, _), to in TABLE.items() if to in reaches}
    assert reaches == set(ItemState)
