"""The purge rule and the watermarks, one missing condition at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.domain.limits import LimitSet
from appliance.domain.values import ItemState, LocalState
from sync.core.retention import Admission, EvictionFacts, ProofFacts, RetentionPolicy, admission, may_evict

DAY_S = 86_400.0
SHA = "a" * 64
POLICY = RetentionPolicy()
PROOF = ProofFacts(
    destination="north",
    state=ItemState.CONFIRMED,
    receipt_sha256=SHA,
    receipt_age_s=20 * DAY_S,
    recheck_age_s=3600.0,
    epoch_at_receipt="e1",
    epoch_now="e1",
)
FACTS = EvictionFacts(
    sha256=SHA, local_state=LocalState.PRESENT, kept_age_s=21 * DAY_S, clock_trusted=True, proofs=(PROOF,)
)


def test_instance_may_go_when_everything_is_proved() -> None:
    assert may_evict(FACTS, POLICY).allowed
    assert may_evict(replace(FACTS, proofs=(PROOF, replace(PROOF, destination="south"))), POLICY).allowed


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (replace(FACTS, local_state=LocalState.CORRUPT), "good order"),
        (replace(FACTS, clock_trusted=False), "clock"),
        (replace(FACTS, kept_age_s=13 * DAY_S), "14 days"),
        (replace(FACTS, kept_age_s=float("nan")), "14 days"),
        (replace(FACTS, proofs=()), "only copy"),
        (replace(FACTS, sha256=""), "other content"),
    ],
)
def test_instance_stays_when_a_fact_about_it_is_missing(facts: EvictionFacts, word: str) -> None:
    _assert_stays(facts, word)


@pytest.mark.fault(48)
@pytest.mark.fault(53)
@pytest.mark.parametrize(
    ("proof", "word"),
    [
        (replace(PROOF, state=ItemState.SENT), "not confirmed"),
        (replace(PROOF, receipt_age_s=None), "no receipt"),
        (replace(PROOF, receipt_sha256="b" * 64), "other content"),
        (replace(PROOF, receipt_age_s=6 * DAY_S), "backup"),
        (replace(PROOF, epoch_now="e2"), "restored"),
        (replace(PROOF, recheck_age_s=None), "asked again"),
        (replace(PROOF, recheck_age_s=20 * DAY_S), "asked again"),
        (replace(PROOF, recheck_age_s=2 * DAY_S), "too long ago"),
        (replace(PROOF, recheck_age_s=-5.0), "too long ago"),
        (replace(PROOF, recheck_age_s=float("nan")), "asked again"),
    ],
)
def test_instance_stays_when_one_destination_has_not_proved_enough(proof: ProofFacts, word: str) -> None:
    _assert_stays(replace(FACTS, proofs=(PROOF, proof)), word)


def _assert_stays(facts: EvictionFacts, word: str) -> None:
    verdict = may_evict(facts, POLICY)
    assert not verdict.allowed
    assert any(word in reason for reason in verdict.reasons)
    assert all(reason.endswith(".") for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("free_bytes", "free_inode_count", "level"),
    [
        (10 << 30, None, Admission.OK),
        (4 << 30, 10_000, Admission.OK),
        ((4 << 30) - 1, None, Admission.WARN),
        ((1 << 30) - 1, None, Admission.STAT_ONLY),
        ((512 << 20) - 1, None, Admission.REFUSE),
        (10 << 30, 1_999, Admission.REFUSE),
    ],
)
def test_admission_narrows_as_the_disk_fills(free_bytes: int, free_inode_count: int | None, level: Admission) -> None:
    assert admission(free_bytes, LimitSet(), free_inode_count) is level
