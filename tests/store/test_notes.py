"""Of which studies a centre has still to be told something: kept by trigger, through whatever changes it."""

from __future__ import annotations

import pytest

from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.domain.values import ItemState
from appliance.store import notes, quality
from appliance.store.connect import Store
from appliance.store.intake import keep_instances
from appliance.store.matching import MATCHED, RECONCILED, Match, forget_match, set_match
from appliance.store.outbox import items_of_study, move_item
from tests.store.made import made_kept, made_stamp

CENTRE, UNIT, EPOCH = "centre", "unit-1", "life-1"
STUDY = "1.2.3.1"
MISSING = Finding(CheckCode.SPACING_MISSING, Severity.NOTICE)


@pytest.fixture
def study(unit: Store) -> str:
    """A study of two images at the centre."""
    keep_instances(unit, made_stamp(), [made_kept(1), made_kept(2)], [CENTRE], None)
    for item in items_of_study(unit, STUDY):
        move_item(unit, made_stamp(), item.item_id, ItemState.PENDING, ItemState.SENT, "accepted", attempt_count=1)
    return STUDY


def check(db: Store, *findings: Finding, version: int = 1, outcome: quality.Outcome = "checked") -> str:
    due = quality.next_due(db, version)
    assert due is not None
    quality.save_run(
        db,
        made_stamp(),
        due,
        checks_version=version,
        blob_uuid="b",
        order_digest="",
        outcome=outcome,
        findings=findings,
    )
    return due.sop_instance_uid


def untold(db: Store, epoch: str = EPOCH, after: int = 0, count_max: int = 10) -> tuple[tuple[str, ...], int]:
    return notes.untold(db, CENTRE, UNIT, epoch, after, count_max)


def tell(db: Store, revision: int = 1, epoch: str = EPOCH) -> None:
    told = [(notes.study_facts(db, uid), revision) for uid in untold(db, epoch)[0]]
    notes.note_told(db, CENTRE, UNIT, epoch, told)


def match(key: str, state: str = MATCHED) -> Match:
    return Match(STUDY, key, "person" if state == RECONCILED else "study-uid", state, "", "", "x")


def test_every_change_is_told_once_and_what_changes_nothing_is_not(unit: Store, study: str) -> None:
    assert untold(unit) == ((), 0), "nobody has looked at it yet"

    def news(*, is_news: bool = True) -> None:
        assert untold(unit)[0] == ((STUDY,) if is_news else ())
        tell(unit, notes.study_facts(unit, STUDY).revision_told + 1)
        assert untold(unit)[0] == ()

    check(unit, MISSING)
    news()
    check(unit)
    news()
    check(unit, MISSING, version=2)
    news(is_news=False)
    check(unit, version=2)
    news(is_news=False)
    check(unit, version=3)
    news()  # what was found before is found no more
    check(unit, Finding(CheckCode.SPACING_MISSING, Severity.WARNING), version=3)
    news()
    set_match(unit, made_stamp(), match("r-1"))
    news()
    set_match(unit, made_stamp(1), match("r-1"))
    news(is_news=False)
    set_match(unit, made_stamp(), match("r-2", RECONCILED))
    news()
    forget_match(unit, made_stamp(), STUDY, "x")
    news()
    assert notes.study_facts(unit, STUDY).revision_told == 7


def test_study_is_not_told_of_before_the_centre_knows_it_and_nothing_is_passed_over(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1), made_kept(2), made_kept(3, study=2)], [CENTRE], None)
    for _ in range(3):
        check(unit)
    assert untold(unit) == ((), 0), "it waits for its study to be announced"
    (item,) = items_of_study(unit, "1.2.3.2")
    move_item(unit, made_stamp(), item.item_id, ItemState.PENDING, ItemState.SENT, "accepted", attempt_count=1)
    uids, number = untold(unit)
    assert uids == ("1.2.3.2",)
    tell(unit)
    assert untold(unit, after=number)[0] == ()
    (item, _) = items_of_study(unit, STUDY)
    move_item(unit, made_stamp(), item.item_id, ItemState.PENDING, ItemState.SENT, "accepted", attempt_count=1)
    assert untold(unit, after=number)[0] == (STUDY,)


def test_another_life_of_the_centre_and_another_identity_are_told_all_again(unit: Store, study: str) -> None:
    check(unit)
    tell(unit)
    assert untold(unit)[0] == ()
    assert untold(unit, "life-2")[0] == (STUDY,)
    assert notes.untold(unit, CENTRE, "unit-2", EPOCH, 0, 10)[0] == (STUDY,)


def test_facts_are_the_open_findings_of_images_that_nobody_rejected(unit: Store, study: str) -> None:
    second, first = check(unit, MISSING), check(unit, MISSING, outcome="failed")
    facts = notes.study_facts(unit, STUDY)
    assert (facts.checked_count, {one.sop_instance_uid for one in facts.findings}) == (2, {first, second})
    assert facts.registration is None
    tell(unit)
    unit.connection.executescript(f"""
        INSERT INTO correction (action_id, kind, study_instance_uid, before, after, reason, actor, at)
            VALUES (1, 'reject', '{STUDY}', '', '', '', 'x', '');
        INSERT INTO rejected_image (instance_id, action_id, reason_code, rejected_at)
            SELECT instance_id, 1, 'blurred', '' FROM instance WHERE sop_instance_uid = '{first}';
    """)
    facts = notes.study_facts(unit, STUDY)
    assert (facts.checked_count, [one.sop_instance_uid for one in facts.findings]) == (1, [second])
    assert untold(unit)[0] == (STUDY,)
    tell(unit)
    unit.connection.executescript("UPDATE rejected_image SET lifted_at = 'now'")
    assert untold(unit)[0] == (STUDY,)
    assert notes.study_facts(unit, STUDY).checked_count == 2
