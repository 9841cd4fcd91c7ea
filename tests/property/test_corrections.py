"""Actions in any order, over real files: what is owed, what lists show and what was undone always fit together."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.corrections.problems import ActionRefused
from appliance.corrections.rejecting import reject
from appliance.corrections.step import Matching
from appliance.domain.values import ItemState
from appliance.store import instances, outbox, rejections, revisions
from appliance.store.commands import finish_command, open_commands
from appliance.stored import revision_dir
from sync.core.machine import ItemEvent
from tests.store.made import HandClock
from tests.support.correcting import Desk, desk

STUDY = "1.2.826.0.1.3680043.8.498.55"
ACTS = st.sampled_from(["P1", "P2", "P3"])


class Corrections(RuleBasedStateMachine):
    """One study of a few pictures; a model of what each says and which actions stand."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="qafila-corrections-"))
        self.stack = ExitStack()
        self.at: Desk = self.stack.enter_context(desk(self.folder))
        self.originals: dict[str, bytes] = {}
        self.standing: list[tuple[int, str]] = []
        self.seen: set[int] = set()
        self.rejected: dict[str, int] = {}
        self._arrive()

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()
            shutil.rmtree(self.folder)

    def _arrive(self) -> None:
        uid = self.at.picture(study=STUDY, PatientID="P0")
        self.originals[uid] = self.at.path(uid).read_bytes()

    @property
    def patient(self) -> str:
        return self.standing[-1][1] if self.standing else "P0"

    @precondition(lambda self: len(self.originals) < 4)
    @rule()
    def arrive(self) -> None:
        """A picture that still says what the device says; the matching's step sees to it."""
        self._arrive()
        Matching(self.at.config, self.at.db, self.at.actions.reviser, HandClock()).step()

    @rule(patient=ACTS)
    def correct(self, patient: str) -> None:
        done = self.at.actions.correct(STUDY, {"PatientID": patient}, "r", "amina")
        self.standing.append((done.action_id, patient))

    @precondition(lambda self: self.standing)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        action_id, _ = data.draw(st.sampled_from(self.standing))
        is_last = action_id == self.standing[-1][0]
        try:
            self.at.actions.undo(action_id, "amina")
        except ActionRefused as refused:
            assert refused.code == ("corrected-again" if not is_last else "on-its-way")
            assert refused.code == "corrected-again" or action_id in self.seen
        else:
            assert is_last
            assert action_id not in self.seen
            self.standing.pop()

    @precondition(lambda self: len(self.rejected) < len(self.originals))
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from([uid for uid in self.originals if uid not in self.rejected]))
        self.rejected[uid] = reject(self.at.actions, STUDY, [uid], "motion", "", "amina").action_id
        self._carry_out()

    @precondition(lambda self: self.rejected)
    @rule(data=st.data())
    def lift(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.rejected)))
        self.at.actions.undo(self.rejected.pop(uid), "amina")
        self._carry_out()

    def _carry_out(self) -> None:
        """What the engine does about wishes, for what no attempt has."""
        for command in open_commands(self.at.db):
            items, kind = rejections.items_of_command(self.at.db, command)
            for item in items:
                self.at._move(item.item_id, ItemEvent(kind))
            finish_command(self.at.db, self.at.db.stamp(), command.command_id, "done")

    @rule()
    def move_on(self) -> None:
        self.at.sync()

    @rule()
    def deliver(self) -> None:
        self.at.deliver()
        for uid in self.originals:
            if uid not in self.rejected and self.standing:
                row = self.at.db.row(
                    """SELECT r.action_id FROM outbox AS o JOIN revision AS r ON r.revision_id = o.revision_id
                        JOIN instance AS i ON i.instance_id = o.instance_id WHERE i.sop_instance_uid = ?""",
                    (uid,),
                )
                if row is not None:
                    self.seen.add(row[0])

    @invariant()
    def every_picture_says_the_patient_of_the_last_action_that_stands(self) -> None:
        if not hasattr(self, "at"):
            return
        for uid in self.originals:
            assert self.at.said(uid).PatientID == self.patient
        header = revisions.study_header(self.at.db, STUDY, ("patient_id",))
        assert header == {"patient_id": self.patient}

    @invariant()
    def originals_never_change_and_every_file_has_a_row(self) -> None:
        if not hasattr(self, "at"):
            return
        for uid, content in self.originals.items():
            found = instances.find_instance(self.at.db, uid)
            assert found is not None
            path = self.at.config.blob_dir / found[0].blob_uuid[:2] / found[0].blob_uuid
            assert path.read_bytes() == content
        files = {path.name for path in revision_dir(self.at.config).rglob("*") if path.is_file()}
        assert files == set(revisions.blobs_of_revisions(self.at.db))

    @invariant()
    def confirmed_means_proved_of_what_is_owed_and_rejected_is_not_under_way(self) -> None:
        if not hasattr(self, "at"):
            return
        for item in outbox.items_of_study(self.at.db, STUDY):
            sql = "SELECT sha256 FROM receipt WHERE item_id = ? AND revoked_at = ''"
            standing = self.at.db.value(sql, (item.item_id,))
            assert standing == (item.sha256 if item.state is ItemState.CONFIRMED else None)
            if item.sop_instance_uid in self.rejected:
                assert item.state in (ItemState.REJECTED, ItemState.CONFIRMED)


TestCorrections = Corrections.TestCase
TestCorrections.settings = settings(
    max_examples=25, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
