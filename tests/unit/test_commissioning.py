"""What each step of trying a device out comes to, whatever was seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from appliance.commissioning.heard import Heard, baseline_of, heard_since
from appliance.commissioning.judging import Seen, TestNames, judge
from appliance.commissioning.ping import CannotPingError, ping
from appliance.commissioning.reach import Reached
from appliance.config import ModalityTable
from appliance.domain.commissioning import Looked, Outcome, Step
from appliance.store.commissioning import TestCommitment, TestPicture

FINE, FAILED, WAITING, SKIPPED = Outcome.FINE, Outcome.FAILED, Outcome.WAITING, Outcome.SKIPPED
PICTURE = TestPicture(
    sop_instance_uid="1.2.3",
    sop_class_uid="1.2",
    blob_uuid="b",
    is_of_ordered_study=True,
    has_ordered_accession=True,
)
NAMES = TestNames(given="ESSAI^ÉQUIPEMENT=تجربة^جهاز", came_back="ESSAI^ÉQUIPEMENT=تجربة^جهاز")
TOLD = TestCommitment(
    state="delivered", attempt_count=1, wait_count=0, failure_code="", reference_count=1, failed_count=0
)
REACHED = Reached(host="10.0.0.5", answers_ping=True, port=104, port_fault="", association_code="", echo_code="")
HEARD = Heard(peer="10.0.0.5", association_count=2, answered={"echo": 1, "worklist": 1}, worklist_answer_count=1)
ALL_SEEN = Seen(
    device=ModalityTable(ae_title="FILMS", host="10.0.0.5", port=104, character_set="utf8"),
    our_ae_title="QAFILA",
    our_port=11112,
    exam_name="ESSAI^ÉQUIPEMENT, U1-1",
    reached=REACHED,
    heard=HEARD,
    calls_us_wrongly=False,
    unknown_titles=(),
    pictures=(PICTURE,),
    other_picture_count=0,
    names=NAMES,
    steps=("completed",),
    commitment=TOLD,
)
NOTHING = replace(
    ALL_SEEN,
    device=ModalityTable(ae_title="FILMS"),
    reached=Reached(),
    heard=Heard(),
    pictures=(),
    names=None,
    steps=(),
    commitment=None,
)
SILENT = Heard(peer="", association_count=0)


def look(step: Step, **changes: Any) -> Looked:
    return next(one for one in judge(replace(ALL_SEEN, **changes)) if one.step is step)


def test_every_step_is_fine_once_all_was_seen() -> None:
    assert [(one.step, one.outcome) for one in judge(ALL_SEEN)] == [(step, FINE) for step in Step]


def test_device_that_nobody_touched_waits_and_each_step_that_waits_for_a_person_says_what_to_do() -> None:
    looked = {one.step: one for one in judge(NOTHING)}
    skipped = {Step.PORT, Step.TITLE_OUT, Step.ECHO}
    assert {step for step, one in looked.items() if one.outcome is SKIPPED} == skipped
    assert {one.outcome for step, one in looked.items() if step not in skipped} == {WAITING}
    told = {step for step, one in looked.items() if one.hint}
    assert told == {Step.PING, Step.TITLE_IN, Step.WORKLIST, Step.STORE, Step.STEP, Step.COMMITMENT}


def test_what_a_device_does_not_have_is_waived() -> None:
    looked = judge(NOTHING, {Step.STEP})
    assert next(one for one in looked if one.step is Step.STEP).outcome is Outcome.WAIVED


@pytest.mark.parametrize(
    ("step", "changes", "outcome", "words"),
    [
        (
            Step.PING,
            {"reached": replace(REACHED, answers_ping=False, port_fault="refused"), "heard": SILENT},
            FAILED,
            "not",
        ),
        (Step.PING, {"reached": replace(REACHED, answers_ping=False)}, SKIPPED, "all the same"),
        (Step.PING, {"reached": replace(REACHED, answers_ping=None, ping_fault="no right")}, SKIPPED, "no right"),
        (Step.PORT, {"reached": replace(REACHED, port_fault="Connection refused")}, FAILED, "Connection refused"),
        (Step.PORT, {"reached": replace(REACHED, port_fault=None)}, WAITING, ""),
        (Step.TITLE_OUT, {"reached": replace(REACHED, association_code="ae-unknown")}, FAILED, "QAFILA to FILMS"),
        (Step.TITLE_OUT, {"reached": replace(REACHED, association_code="stalled")}, FAILED, "stalled"),
        (Step.TITLE_OUT, {"reached": replace(REACHED, association_code=None)}, WAITING, ""),
        (Step.ECHO, {"reached": replace(REACHED, echo_code="not-offered")}, FAILED, "offers no"),
        (Step.ECHO, {"reached": replace(REACHED, echo_code="stalled")}, FAILED, "stalled"),
        (Step.TITLE_IN, {"heard": SILENT, "calls_us_wrongly": True}, FAILED, "wrong title"),
        (Step.TITLE_IN, {"heard": SILENT, "unknown_titles": ("FILMS2",)}, WAITING, "FILMS2"),
        (Step.TITLE_IN, {"heard": Heard(is_gatekeeper_up=False)}, FAILED, "silent"),
        (Step.WORKLIST, {"heard": replace(HEARD, worklist_answer_count=0)}, FAILED, "nothing matched"),
        (Step.WORKLIST, {"heard": replace(SILENT, failed={"worklist": 1})}, FAILED, "a failure"),
        (Step.STORE, {"pictures": (), "other_picture_count": 2}, WAITING, "2 pictures, none"),
        (Step.STORE, {"pictures": (), "heard": replace(HEARD, failed={"store": 1})}, FAILED, "1 picture that"),
        (Step.IDENTITY, {"pictures": (replace(PICTURE, is_of_ordered_study=False),)}, FINE, "accession"),
        (
            Step.IDENTITY,
            {"pictures": (replace(PICTURE, is_of_ordered_study=False, has_ordered_accession=False),)},
            FAILED,
            "typed in",
        ),
        (Step.NAMES, {"names": replace(NAMES, came_back="essai^équipement^^=تجربة^جهاز")}, FINE, "as it was given"),
        (Step.NAMES, {"names": replace(NAMES, came_back="ESSAI^ÉQUIPEMENT")}, FINE, "leaves the Arabic one out"),
        (Step.NAMES, {"names": replace(NAMES, came_back="ESSAI^Ã‰QUIPEMENT")}, FAILED, "did not come back"),
        (Step.NAMES, {"names": replace(NAMES, came_back="=تجربة^جهاز")}, FAILED, "did not come back"),
        (Step.NAMES, {"names": replace(NAMES, suspect_encoding="windows-1252")}, FAILED, "windows-1252"),
        (Step.STEP, {"steps": ("in-progress",)}, WAITING, "not yet"),
        (Step.STEP, {"steps": ("discontinued",)}, FINE, "discontinued"),
        (Step.COMMITMENT, {"commitment": replace(TOLD, failed_count=1)}, FAILED, "1 of 1 picture"),
        (Step.COMMITMENT, {"commitment": replace(TOLD, state="open")}, WAITING, "It asked."),
        (Step.COMMITMENT, {"commitment": replace(TOLD, state="open", wait_count=2)}, WAITING, "waits for"),
        (Step.COMMITMENT, {"commitment": replace(TOLD, state="open", failure_code="no-address")}, FAILED, "hung up"),
        (Step.COMMITMENT, {"commitment": replace(TOLD, state="given-up", failure_code="stalled")}, FAILED, "stalled"),
    ],
)
def test_what_is_not_fine_says_what_was_seen_and_what_to_do(
    step: Step, changes: dict[str, Any], outcome: Outcome, words: str
) -> None:
    looked = look(step, **changes)
    assert (looked.outcome, words in looked.sentence) == (outcome, True), looked
    assert looked.hint or outcome is not FAILED


FACTS = {
    "boot_id": "boot-1",
    "began_mono_s": 5.0,
    "devices": {
        "FILMS": {
            "peer": "10.0.0.5",
            "association_count": 3,
            "answered": {"echo": 2, "worklist": 1},
            "failed": {},
            "worklist_answer_count": 4,
        }
    },
}


def test_what_was_heard_before_does_not_count() -> None:
    heard = heard_since(FACTS, "FILMS", baseline_of(FACTS, "FILMS"))
    assert (heard.answered, heard.worklist_answer_count, heard.association_count) == ({}, 0, 3)


@pytest.mark.parametrize("changed", [{"boot_id": "boot-0"}, {"began_mono_s": 4.0}])
def test_all_that_a_later_run_of_the_gatekeeper_heard_counts(changed: dict[str, object]) -> None:
    heard = heard_since(FACTS, "FILMS", baseline_of({**FACTS, **changed}, "FILMS"))
    assert (heard.answered, heard.worklist_answer_count) == ({"echo": 2, "worklist": 1}, 4)


def test_silent_gatekeeper_is_told_from_one_that_heard_nothing() -> None:
    assert not heard_since(None, "FILMS", baseline_of(None, "FILMS")).is_gatekeeper_up
    assert heard_since(FACTS, "OTHER", baseline_of(FACTS, "OTHER")) == Heard()


def test_this_machine_answers_a_ping_where_it_may_send_one() -> None:
    try:
        assert ping("127.0.0.1")
    except CannotPingError as error:
        assert str(error)
    with pytest.raises(CannotPingError):
        ping("no such name.invalid")
