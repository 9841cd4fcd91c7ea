"""The purge rule over stored rows: which ages count, and which were written under a clock that nobody can believe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.clock import utc_text
from appliance.domain.values import ItemState, LocalState
from appliance.store.retention import OwedProof, RetainedInstance
from sync.core.retention import RetentionPolicy
from sync.eviction import verdict_of

NOW_S = 1_800_000_000.0
DAY_S = 86_400.0
DIGEST = "a" * 64


def at(days_ago: float) -> str:
    return utc_text(NOW_S - days_ago * DAY_S)


OLD_ENOUGH = RetainedInstance(
    sop_instance_uid="1.2.3",
    orthanc_id="o",
    blob_uuid="b",
    sha256=DIGEST,
    size_bytes=1,
    local_state=LocalState.PRESENT,
    received_at=at(30),
    proofs=(OwedProof(1, "centre", ItemState.CONFIRMED, DIGEST, at(29), at(0.01)),),
)


def allowed(instance: RetainedInstance, *, clock_trusted: bool = True) -> bool:
    return verdict_of(instance, NOW_S, clock_trusted, RetentionPolicy()).allowed


def with_proof(**changes: object) -> RetainedInstance:
    proof = OLD_ENOUGH.proofs[0]
    return replace(OLD_ENOUGH, proofs=(replace(proof, **changes),))  # type: ignore[arg-type]  # names of its fields


def test_old_proved_and_asked_again_may_go() -> None:
    assert allowed(OLD_ENOUGH)


@pytest.mark.fault(36)
@pytest.mark.parametrize("wrong", ["1970-01-01T00:00:05.000Z", "2016-11-22T09:00:00.000Z", "2036-11-22T09:00:00.000Z"])
def test_date_written_under_a_wrong_clock_never_lets_pixels_go(wrong: str) -> None:
    assert not allowed(with_proof(receipt_at=wrong))
    assert not allowed(with_proof(checked_again_at=wrong))
    assert not allowed(replace(OLD_ENOUGH, received_at=wrong))


@pytest.mark.fault(36)
def test_nothing_goes_while_the_clock_is_not_trusted() -> None:
    assert not allowed(OLD_ENOUGH, clock_trusted=False)


@pytest.mark.parametrize(
    "instance",
    [
        with_proof(receipt_sha256="b" * 64),
        with_proof(state=ItemState.SENT),
        with_proof(receipt_at=at(3)),
        with_proof(checked_again_at=""),
        with_proof(checked_again_at=at(2)),
        replace(OLD_ENOUGH, received_at=at(3)),
        replace(OLD_ENOUGH, proofs=()),
        replace(OLD_ENOUGH, local_state=LocalState.MISSING),
    ],
)
def test_any_missing_reason_keeps_it_here(instance: RetainedInstance) -> None:
    assert not allowed(instance)
