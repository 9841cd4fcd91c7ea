"""What a device asked is counted by kind, by how it was answered, and by entries of worklist answers."""

from __future__ import annotations

import pytest

from appliance.gatekeeper import tally
from appliance.gatekeeper.command import C_FIND_RQ, C_STORE_RQ, Command
from appliance.gatekeeper.tally import Tally
from appliance.gatekeeper.worklist_answers import MODALITY_WORKLIST_FIND


def asked(field: int, sop_class_uid: str = "") -> Command:
    return Command(
        field=field, message_id=1, has_data_set=True, status=0, sop_class_uid=sop_class_uid, sop_instance_uid=""
    )


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (asked(0x0030), tally.ECHO),
        (asked(C_STORE_RQ), tally.STORE),
        (asked(C_FIND_RQ, MODALITY_WORKLIST_FIND), tally.WORKLIST),
        (asked(C_FIND_RQ, "1.2.840.10008.5.1.4.1.2.2.1"), tally.QUERY),
        (asked(0x0140), tally.STEP),
        (asked(0x0120), tally.STEP),
        (asked(0x0130), tally.COMMITMENT),
        (asked(0x0021), tally.OTHER),
    ],
)
def test_request_is_told_by_its_command_and_class(request_: Command, kind: str) -> None:
    assert tally.kind_of(request_) == kind


@pytest.mark.parametrize(
    ("status", "is_answered"), [(0x0000, True), (0xB006, True), (0x0107, True), (0xFE00, True), (0xA700, False)]
)
def test_warning_counts_as_an_answer_and_failure_does_not(status: int, is_answered: bool) -> None:
    counts = Tally()
    counts.answered("XRAY", asked(C_STORE_RQ), status)
    facts = counts.facts()["XRAY"]
    assert (facts["answered"], facts["failed"]) == (({"store": 1}, {}) if is_answered else ({}, {"store": 1}))


def test_entries_of_worklist_answers_are_counted_and_those_of_other_queries_are_not() -> None:
    counts = Tally()
    counts.associated("XRAY", "10.0.0.5")
    counts.pending("XRAY", asked(C_FIND_RQ, MODALITY_WORKLIST_FIND))
    counts.pending("XRAY", asked(C_FIND_RQ))
    facts = counts.facts()["XRAY"]
    assert (facts["peer"], facts["association_count"], facts["worklist_answer_count"]) == ("10.0.0.5", 1, 1)
