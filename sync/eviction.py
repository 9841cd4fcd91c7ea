"""Makes room: asks every destination once more, and only then lets pixels leave this unit.

The rule itself is ``sync.core.retention``. This module gathers its facts, has the engine ask again where that is all
that is missing, and carries a verdict out in an order that a power cut may break anywhere: the permit is committed
before Orthanc is asked to delete, the row is marked once the door's ledger says that the file went, and only then the
permit ends. So after a cut a standing permit tells which removals still want their mark.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from appliance.clock import Clock, utc_text
from appliance.config import UnitConfig
from appliance.domain.values import ItemState, LinkState, LocalState
from appliance.health.clock_doubt import RELEASE_AT_S
from appliance.logging import log
from appliance.orthanc.damage import MISSING, Damage, note
from appliance.orthanc.rest import OrthancDown, OrthancRefused, OrthancRest
from appliance.store import commands, door, instances, outbox, transfers
from appliance.store.connect import Store, open_door
from appliance.store.errors import StoreError, StoreFault
from appliance.store.retention import RetainedInstance, retained_instances
from sync.core.events import Event, RecheckWanted
from sync.core.retention import EvictionFacts, ProofFacts, RetentionPolicy, Verdict, may_evict

_DAY_S = 86_400.0
STEP_S = 1.0
REMOVE_PAGE_COUNT = 8
"""Pictures a step: the engine waits meanwhile, and a STAT study must not wait for a thousand deletions."""
ASK_S_MAX = 600.0
"""A wish whose second look gets no further for so long is given up with a sentence; nothing was removed."""
WALK_PAGE_COUNT = 256


def policy_of(config: UnitConfig) -> RetentionPolicy:
    """The purge rule's numbers from ``[retention]``."""
    return RetentionPolicy(
        keep_s_min=config.retention.keep_days_min * _DAY_S,
        backup_horizon_s=config.retention.backup_horizon_days * _DAY_S,
    )


def clock_is_trusted(store: Store) -> bool:
    """Whether nothing has cast doubt on this unit's wall clock (``appliance.health`` and intake raise the finding)."""
    return not store.value("SELECT 1 FROM finding WHERE kind = 'clock-unverified' AND cleared_at = ''")


def verdict_of(instance: RetainedInstance, now_wall_s: float, clock_trusted: bool, policy: RetentionPolicy) -> Verdict:
    """The purge rule applied to one stored row."""
    proofs = tuple(
        ProofFacts(
            destination=proof.destination,
            state=proof.state,
            receipt_sha256=proof.receipt_sha256,
            receipt_age_s=_age_s(proof.receipt_at, now_wall_s),
            recheck_age_s=_age_s(proof.checked_again_at, now_wall_s),
        )
        for proof in instance.proofs
    )
    kept_age_s = _age_s(instance.received_at, now_wall_s) or 0.0
    facts = EvictionFacts(
        sha256=instance.sha256,
        local_state=instance.local_state,
        kept_age_s=kept_age_s,
        clock_trusted=clock_trusted,
        proofs=proofs,
    )
    return may_evict(facts, policy)


@dataclass(slots=True)
class _Wish:
    study_instance_uid: str
    command_id: int | None
    """``None``: nobody asked; room is short."""
    unasked_count: float = math.inf
    """How many pictures still wanted their second look at the last step."""
    deadline_mono_s: float = math.inf
    """Moved on by every step that got further, so that a big study over a slow link is not given up."""
    removed_count: int = 0
    removed_bytes: int = 0


@dataclass(slots=True)
class Eviction:
    """One wish after the other, a small step a second; lives as long as one open store.

    ``did`` is called after each durable step of a removal with its name: where tests cut.
    """

    config: UnitConfig
    store: Store
    clock: Clock
    post: Callable[[Event], None]
    did: Callable[[str], None] = lambda _: None
    _is_settled: bool = False
    _wishes: list[_Wish] = field(default_factory=list)
    _next_step_mono_s: float = 0.0
    _walk_instance_id: int = 0
    _walked_study_uids: set[str] = field(default_factory=set)

    def ask(self, command: commands.Command) -> None:
        """A person wants a study's pixels gone from here; a wish of ours gives way, the walk finds it again."""
        self._wishes = [wish for wish in self._wishes if wish.command_id is not None]
        self._wishes.append(_Wish(command.study_instance_uid, command.command_id))

    def turn(self) -> None:
        """At most one step a second; raises ``StoreError`` as the store does."""
        now = self.clock.mono_s()
        if now < self._next_step_mono_s:
            return
        self._next_step_mono_s = now + STEP_S
        if not self._is_settled:
            self._settle_cut_removals()
        if not self._wishes and self._room_is_short():
            self._wish_for_the_oldest()
        if self._wishes and self._step(self._wishes[0]):
            self._wishes.pop(0)

    def _room_is_short(self) -> bool:
        return shutil.disk_usage(self.config.data_dir).free < self.config.limits.free_bytes_warn

    def _wish_for_the_oldest(self) -> None:
        """Walk through the confirmed instances, oldest first, round and round, one study a turn.

        A study is tried once a round: its instances lie between those of others, which it must not hide.
        """
        while found := instances.eviction_candidates(
            self.store, after_instance_id=self._walk_instance_id, limit=WALK_PAGE_COUNT
        ):
            for candidate in found:
                self._walk_instance_id = candidate.instance_id
                if candidate.study_instance_uid not in self._walked_study_uids:
                    self._walked_study_uids.add(candidate.study_instance_uid)
                    self._wishes.append(_Wish(candidate.study_instance_uid, None))
                    return
        self._walk_instance_id = 0
        self._walked_study_uids.clear()

    def _step(self, wish: _Wish) -> bool:
        """Do the next thing for a wish; True when it is answered."""
        rows = [
            row
            for row in retained_instances(self.store, wish.study_instance_uid)
            if row.local_state is not LocalState.EVICTED
        ]
        if not rows:
            return self._answer(wish, _removed_sentence(wish))
        policy, trusted, now_wall_s = policy_of(self.config), clock_is_trusted(self.store), self.clock.wall_s()
        for row in rows:
            as_if_asked = _as_if_asked_at(row, now_wall_s)
            verdict = verdict_of(as_if_asked, now_wall_s, trusted, policy)
            if not verdict.allowed:
                return self._answer(wish, f"{_so_far(wish)} {' '.join(verdict.reasons)}")
        unasked = [row for row in rows if not verdict_of(row, now_wall_s, trusted, policy).allowed]
        if len(unasked) < wish.unasked_count:
            wish.unasked_count, wish.deadline_mono_s = len(unasked), self.clock.mono_s() + ASK_S_MAX
        if not unasked:
            return self._remove(wish, rows[:REMOVE_PAGE_COUNT])
        if self.clock.mono_s() > wish.deadline_mono_s:
            return self._answer(wish, f"{_so_far(wish)} The centre could not be asked again in time.")
        if cut_off := sorted({proof.destination for row in unasked for proof in row.proofs} & self._links_down()):
            return self._answer(
                wish,
                f"{_so_far(wish)} {' and '.join(cut_off)} cannot be reached, so nobody can look whether the "
                "pictures are still there. Ask again when the link is up.",
            )
        self._ask_again(unasked)
        return False

    def _links_down(self) -> set[str]:
        return transfers.links_in_state(self.store, LinkState.DOWN)

    def _ask_again(self, rows: Sequence[RetainedInstance]) -> None:
        for name in sorted({proof.destination for row in rows for proof in row.proofs}):
            ids = [proof.item_id for row in rows for proof in row.proofs if proof.destination == name]
            page = outbox.load_items(self.store, ids[: self.config.limits.transfer_item_count_max])
            self.post(RecheckWanted(name, page))

    def _remove(self, wish: _Wish, rows: Sequence[RetainedInstance]) -> bool:
        rest = OrthancRest(self.config.run_dir / "orthanc.json")
        with open_door(self.config.door_db) as door_db:
            door.permit_purge(door_db, self.store.stamp(), [row.blob_uuid for row in rows])
            self.did("permitted")
            try:
                for row in rows:
                    rest.delete(row.orthanc_id)
                    self.did("deleted")
                    self._mark(door_db, row.blob_uuid)
            except (OrthancDown, OrthancRefused) as error:
                log("sync.eviction", "Orthanc did not remove, trying again", why=error)
                return False
            left = [row for row in rows if door.is_purge_permitted(door_db, row.blob_uuid)]
            door.end_purge(door_db, [row.blob_uuid for row in left])
        gone = [row for row in rows if row not in left]
        wish.removed_count += len(gone)
        wish.removed_bytes += sum(row.size_bytes for row in gone)
        log("sync.eviction", "removed", study=wish.study_instance_uid, instances=len(gone), left=len(left))
        if not left:
            return False  # the next step takes the next page, or says that it is done
        return self._answer(
            wish,
            f"{_so_far(wish)} {len(left)} files could not be taken off the disk. They are kept; ask again after the "
            "unit was restarted.",
        )

    def _settle_cut_removals(self) -> None:
        """Mark what went in an earlier life that was cut off before its mark; asked again when the ledger fails."""
        try:
            with open_door(self.config.door_db) as door_db:
                for blob_uuid in door.purge_permits(door_db):
                    self._mark(door_db, blob_uuid)
        except StoreError as error:
            log("sync.eviction", "ledger failed, trying again", why=error)
        else:
            self._is_settled = True

    def _mark(self, door_db: Store, blob_uuid: str) -> None:
        """Make the instance's row say that its file left, when the ledger says so; that ends the permit."""
        kept = door.find_kept(door_db, blob_uuid)
        if kept is not None and not kept.removed_at:
            return
        sop_instance_uid = instances.instance_in_blob(self.store, blob_uuid)
        if sop_instance_uid and not door.kept_of(door_db, sop_instance_uid):  # intake follows a copy that stays
            self._mark_instance(sop_instance_uid, blob_uuid)
        self.did("marked")
        door.end_purge(door_db, [blob_uuid])
        self.did("settled")

    def _mark_instance(self, sop_instance_uid: str, blob_uuid: str) -> None:
        try:
            instances.set_local_state(
                self.store, self.store.stamp(), sop_instance_uid, LocalState.EVICTED, "made room", actor="sync"
            )
        except StoreError as error:
            if error.kind is not StoreFault.REFUSED:
                raise
            # A destination that was added, or a receipt that fell, between the verdict and this mark.
            note(self.store, sop_instance_uid, blob_uuid, Damage(MISSING, f"blob={blob_uuid} evicted"))

    def _answer(self, wish: _Wish, sentence: str) -> bool:
        if wish.command_id is not None:
            commands.finish_command(self.store, self.store.stamp(), wish.command_id, sentence)
        return True


def _removed_sentence(wish: _Wish) -> str:
    if not wish.removed_count:
        return "Its pictures had left this unit already."
    size_mb = wish.removed_bytes / 1e6
    return f"{wish.removed_count} pictures ({size_mb:.1f} MB) left this unit; the centre holds them."


def _so_far(wish: _Wish) -> str:
    """How an answer begins that is not the wish's fulfilment."""
    if not wish.removed_count:
        return "Nothing was removed."
    return f"Only {wish.removed_count} pictures were removed."


def _as_if_asked_at(row: RetainedInstance, now_wall_s: float) -> RetainedInstance:
    """The row as it would be after a successful second look at that moment: what else stands in the way?"""
    asked_at = utc_text(now_wall_s)
    proofs = tuple(
        replace(proof, checked_again_at=asked_at) if proof.state is ItemState.CONFIRMED else proof
        for proof in row.proofs
    )
    return replace(row, proofs=proofs)


def _age_s(at: str, now_wall_s: float) -> float | None:
    """Seconds since a UTC text; ``None`` for none, and for one that was written under a clock from before this release.

    A receipt of "1970" would otherwise look older than any backup of the centre.
    """
    if not at:
        return None
    at_wall_s = datetime.fromisoformat(at).timestamp()
    return now_wall_s - at_wall_s if at_wall_s >= RELEASE_AT_S else None
