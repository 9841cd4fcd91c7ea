"""The matching's step in the quality process: studies meet their registrations, and what actions left to do is done.

It follows ``unit.db`` and decides nothing that a person decided. A study that it cannot match is delivered all the
same, unless ``[matching] hold`` says otherwise; STAT never waits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.corrections.copies import Copier
from appliance.corrections.door import bring_through_the_door
from appliance.corrections.problems import ActionRefused
from appliance.corrections.reasons import UNDONE
from appliance.corrections.rules import match
from appliance.dicom.reviser import Reviser
from appliance.logging import log
from appliance.orthanc.background import Worker
from appliance.store import matching, rejections, revisions
from appliance.store.commands import give_command
from appliance.store.connect import Store, data_version, open_unit, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.revisions import Late
from appliance.stored import revision_dir

ACTOR = "matching"
POLL_S = 0.2
AGAIN_S = 10.0
"""After something could not be done: a file that cannot be read, a door that is closed."""
STUDY_COUNT = 200
"""The newest undecided studies; an older exception is looked at again when its own study or registration changes."""
LATE_COUNT = 32


@dataclass
class Matching:
    """Follows ``unit.db``; see ``Worker``."""

    config: UnitConfig
    db: Store
    reviser: Reviser
    clock: Clock
    _seen_version: int = field(init=False, default=-1)
    _seen_facts: tuple[object, ...] = field(init=False, default=())
    _again_mono_s: float = field(init=False, default=float("-inf"))
    _skipped: set[tuple[int, int]] = field(init=False, default_factory=set)
    """Late pictures that could not be corrected, with their actions; tried again after a while."""

    def step(self) -> float:
        """As ``Worker.step``: one look at what changed."""
        version, now = data_version(self.db), self.clock.mono_s()
        if version == self._seen_version and now < self._again_mono_s:
            return POLL_S
        if now >= self._again_mono_s:
            self._skipped.clear()
        self._seen_version, self._again_mono_s = version, now + AGAIN_S
        facts = matching.facts_version(self.db)
        if facts != self._seen_facts:
            match_studies(self.db, self.config.matching.hold)
            hurry_what_was_ordered_so(self.db, self.config.matching.hold)
            self._seen_facts = facts
        self._correct_late()
        set_aside_withdrawn(self.db)
        bring_through_the_door(self.config, self.db)
        return POLL_S

    def _correct_late(self) -> None:
        """Pictures that came after their study was corrected say the right thing too, one file a picture and action."""
        for late in revisions.late_pictures(self.db, LATE_COUNT):
            if (late.instance_id, late.action_id) in self._skipped:
                continue
            try:
                self._correct(late)
            except (ActionRefused, OSError, StoreError) as error:
                if isinstance(error, StoreError) and error.kind is not StoreFault.REFUSED:
                    raise
                log("unit.matching", "late picture not corrected", uid=late.sop_instance_uid, why=type(error).__name__)
                self._skipped.add((late.instance_id, late.action_id))
                return  # in order: what comes after may rest on it

    def _correct(self, late: Late) -> None:
        action = revisions.find_correction(self.db, late.action_id)
        assert action is not None, "rows of correction are never deleted"
        copier, stamp = Copier(self.config, self.db, self.reviser), self.db.stamp()
        plan = copier.plan([late.sop_instance_uid], action.after["values"], stamp)
        with ExitStack() as undo:
            undo.callback(plan.discard)
            with write(self.db):
                made = plan.put_in_place()
                revisions.cover(self.db, stamp, late, ACTOR, made[0] if made else None)
            undo.pop_all()
        log("unit.matching", "late picture corrected", uid=late.sop_instance_uid, action=late.action_id)


def match_studies(db: Store, hold: Collection[str] = ()) -> int:
    """Apply the rules to the newest undecided studies; the number of rows that changed.

    Args:
        db: The unit's database.
        hold: Exceptions that keep a study here until a person decides; STAT is sent all the same.
    """
    changed = 0
    for study_instance_uid in matching.undecided(db, STUDY_COUNT):
        said = matching.said_of(db, study_instance_uid)
        if said is None:
            continue
        verdict = match(said, matching.known_of(db, said))
        row = matching.match_of(verdict, study_instance_uid, db.stamp(), ACTOR)
        before = matching.find_match(db, study_instance_uid)
        if before is not None and matching.says_the_same(before, row):
            continue
        with write(db):
            now = matching.find_match(db, study_instance_uid)
            if now is not None and now.state == matching.RECONCILED:
                continue  # a person was faster
            if matching.set_match(db, db.stamp(), row):
                changed += 1
                _hold_or_release(db, study_instance_uid, held=row.exception in hold and bool(row.exception))
    return changed


def hurry_what_was_ordered_so(db: Store, hold: Collection[str] = ()) -> None:
    """Make studies STAT that were registered as STAT, once; a person who says otherwise has the last word.

    No reason is given with it: that a study is urgent lets nothing go that the quality checks hold.
    """
    for study_instance_uid in matching.ordered_as_stat(db, hold):
        give_command(db, db.stamp(), "stat", study_instance_uid, ACTOR)


def _hold_or_release(db: Store, study_instance_uid: str, *, held: bool) -> None:
    """The policy's hold, which ends with its reason; one that a person gave or ended is not touched."""
    last = matching.last_hold(db, study_instance_uid)
    if held and not matching.is_stat(db, study_instance_uid) and last != "hold":
        give_command(db, db.stamp(), "hold", study_instance_uid, ACTOR, "whose pictures these are is not clear")
    elif not held and last == "hold" and matching.last_hold(db, study_instance_uid, ACTOR) == "hold":
        give_command(db, db.stamp(), "release", study_instance_uid, ACTOR, "whose pictures these are is clear")


def set_aside_withdrawn(db: Store) -> None:
    """An object that the door got in the very moment in which its action was undone."""
    for made in rejections.withdrawn_but_here(db):
        rejections.reject_image(db, db.stamp(), made.action_id, made.sop_instance_uid, UNDONE, ACTOR)


@contextmanager
def open_matching(config: UnitConfig, clock: Clock) -> Iterator[Worker]:
    """For ``appliance.quality.steps``."""
    with open_unit(config.unit_db, clock=clock) as db, Reviser(revision_dir(config)) as reviser:
        yield Matching(config, db, reviser, clock)
