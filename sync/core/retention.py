"""When pixels may leave this unit, and how full the disk may get; rules over values, with a sentence for each refusal.

Unsent data is never evicted, and neither is sent data that nobody has looked at again: a centre restored from last
week's backup has lost what it confirmed yesterday.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.domain.limits import LimitSet
from appliance.domain.values import ItemState, LocalState

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """Seconds of wall time, which is why an untrusted clock stops every eviction."""

    keep_s_min: float = 14 * _DAY_S
    backup_horizon_s: float = 7 * _DAY_S
    """How far back the centre may be restored; receipts younger than this may be forgotten there."""
    recheck_age_s_max: float = 1 * _DAY_S
    """The last look at the destination must be this fresh at the moment of eviction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFacts:
    """What one destination has shown for one instance.

    An age is a difference of wall times and means something only when the clock was trusted at both ends: a receipt
    written in "1970" would look older than any backup. Give ``None`` for an age that began on an untrusted clock.
    """

    destination: str
    state: ItemState
    receipt_sha256: str = ""
    receipt_age_s: float | None = None
    recheck_age_s: float | None = None
    """Since the destination proved it again after the receipt; ``None`` when it never did."""
    epoch_at_receipt: str = ""
    epoch_now: str = ""
    """What the centre calls its life since the last restore; empty where the protocol knows no such thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionFacts:
    """All that the decision about one instance needs."""

    sha256: str
    local_state: LocalState
    kept_age_s: float
    clock_trusted: bool
    proofs: tuple[ProofFacts, ...]
    """One for every destination that this instance is owed to."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it may go; ``reasons`` says in people's words why not, all of them, and is empty exactly when it may."""

    reasons: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        return not self.reasons


def may_evict(facts: EvictionFacts, policy: RetentionPolicy) -> Verdict:
    """The purge rule (``faults.md``, "Purge rule")."""
    reasons: list[str] = []
    if facts.local_state is not LocalState.PRESENT:
        reasons.append("Its file is not there in good order; there is nothing to make room with.")
    if not facts.clock_trusted:
        reasons.append("This unit's clock has not been verified, so its age is not known.")
    if not facts.kept_age_s >= policy.keep_s_min:
        reasons.append(f"It is kept here for at least {policy.keep_s_min / _DAY_S:g} days.")
    if not facts.proofs:
        reasons.append("It was not delivered anywhere: this unit holds the only copy.")
    for proof in facts.proofs:
        reasons.extend(_proof_faults(proof, facts.sha256, policy))
    return Verdict(tuple(reasons))


def _proof_faults(proof: ProofFacts, sha256: str, policy: RetentionPolicy) -> list[str]:
    where = proof.destination
    if proof.state is not ItemState.CONFIRMED:
        return [f"{where} has not confirmed it yet."]
    if proof.receipt_age_s is None:
        return [f"There is no receipt from {where}."]
    faults: list[str] = []
    if not sha256 or proof.receipt_sha256 != sha256:
        faults.append(f"The receipt from {where} is for other content.")
    if not proof.receipt_age_s >= policy.backup_horizon_s:
        faults.append(f"{where} may still be restored from a backup that is older than its receipt.")
    if proof.epoch_at_receipt != proof.epoch_now:
        faults.append(f"{where} was restored from a backup after it gave the receipt.")
    if proof.recheck_age_s is None or not proof.recheck_age_s < proof.receipt_age_s:
        faults.append(f"{where} has not been asked again whether it still holds it.")
    elif not 0 <= proof.recheck_age_s <= policy.recheck_age_s_max:
        faults.append(f"{where} was last asked too long ago; it is asked again first.")
    return faults


class Admission(StrEnum):
    """What the door may take at this fill level."""

    OK = "ok"
    WARN = "warn"
    STAT_ONLY = "stat-only"
    REFUSE = "refuse"


def admission(free_bytes: int, limits: LimitSet, free_inode_count: int | None = None) -> Admission:
    """The worst level that applies; ``free_inode_count`` is ``None`` where the file system has no such bound."""
    if free_bytes < limits.free_bytes_floor or (
        free_inode_count is not None and free_inode_count < limits.free_inode_floor
    ):
        return Admission.REFUSE
    if free_bytes < limits.free_bytes_stat_only:
        return Admission.STAT_ONLY
    if free_bytes < limits.free_bytes_warn:
        return Admission.WARN
    return Admission.OK
