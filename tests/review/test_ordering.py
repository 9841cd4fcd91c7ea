"""Orders: what a form says and what it may not say, once to the chosen unit, and what became of it there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.registration.catalogue import load_catalogue
from central.review.access import Role
from central.review.order_form import REFUSALS, OrderError, wish_of
from central.store.answers import AnswerRow, acknowledge, answers_to
from central.store.units import add_unit, revoke_unit
from sync.wire.answers import Acknowledgement, AckState
from tests.review.rig import Browser, Pages, pages_in
from tests.review.studies import UNIT_ID

CATALOGUE = load_catalogue("")
PAIRED = next(exam.code for exam in CATALOGUE.exam if exam.paired)
ONCE = "0123456789abcdef" * 2
WISH = {
    "unit": UNIT_ID,
    "exam": "XR-CHEST-PA",
    "family_latin": "Benali",
    "given_latin": " Aicha ",
    "family_arabic": "بنعلي",
    "given_arabic": "عائشة",
    "sex": "F",
    "birth_date": "1984-03-12",
    "identifier": "N-٧",
    "issuer": "NATIONAL",
    "reason": "Toux",
    "stat": "on",
    "when": "2026-11-26T10:30",
}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Pages]:
    with pages_in(tmp_path) as made:
        with made.site.database.write() as connection:
            add_unit(connection, UNIT_ID, "van-1", b"", "2026-11-18T11:00:00Z")
        yield made


@pytest.fixture
def person(fresh: Pages) -> Browser:
    return fresh.signed_in("amina", Role.COORDINATOR)


@pytest.fixture(scope="module")
def quiet(pages: Pages) -> Browser:
    """For what is refused."""
    with pages.site.database.write() as connection:
        add_unit(connection, UNIT_ID, "van-1", b"", "2026-11-18T11:00:00Z")
    return pages.signed_in("quiet", Role.COORDINATOR)


def order(browser: Browser, **changes: str) -> Any:
    fields = {"csrf": browser.csrf(), "once": ONCE, **WISH, **changes}
    return browser.post("/orders", fields)


def ordered(pages: Pages) -> list[AnswerRow]:
    with pages.site.database.read() as connection:
        return answers_to(connection, kind="order")


def test_order_reaches_the_chosen_unit_once_and_says_what_became_of_it(fresh: Pages, person: Browser) -> None:
    assert "Order an exam" in person.get("/orders").text
    for _ in range(2):
        assert order(person).status_code == 303
    (row,) = ordered(fresh)
    said: Any = row.answer
    who = said.patient
    assert (who.family_latin, who.given_latin, who.given_arabic) == ("Benali", "Aicha", "عائشة")
    assert (who.birth_date, who.identifier, who.issuer) == ("19840312", "N-7", "NATIONAL")
    assert (said.exam_code, said.is_stat, said.laterality, said.author) == ("XR-CHEST-PA", True, "", "Dr amina")
    assert said.scheduled_at.endswith("Z") and row.unit_id == UNIT_ID
    page = person.get("/orders").text
    assert "Aicha Benali" in page and "عائشة بنعلي" in page and "Waits for the unit" in page
    done = Acknowledgement(
        answer_id=row.answer_id, state=AckState.DELIVERED, at="2026-11-18T12:00:00Z", outcome="On the worklist as <7>."
    )
    with fresh.site.database.write() as connection:
        assert acknowledge(connection, UNIT_ID, [done]) == []
    assert "On the worklist as &lt;7&gt;." in person.get("/orders").text


@pytest.mark.parametrize(
    "changes",
    [
        {"family_latin": "", "family_arabic": ""},
        {"exam": "NOTHING"},
        {"family_latin": "بنعلي"},
        {"given_latin": "A^B"},
        {"issuer": "الوطنية"},
        {"exam": PAIRED},
        {"exam": PAIRED, "side": "X"},
        {"birth_date": "1984-02-30"},
        {"when": "tomorrow"},
        {"issuer": ""},
        {"reason": "x" * 65},
        {"unit": "somebody-else"},
    ],
)
def test_what_is_no_order_comes_back_with_every_word(pages: Pages, quiet: Browser, changes: dict[str, str]) -> None:
    answer = order(quiet, **changes)
    assert answer.status_code == 400 and "Nothing was ordered" in answer.text
    assert f'value="{changes.get("reason", "Toux")}"' in answer.text
    assert ordered(pages) == []


def test_name_in_arabic_alone_comes_back_with_a_latin_one_to_check(pages: Pages, quiet: Browser) -> None:
    answer = order(quiet, family_latin="", given_latin="")
    assert answer.status_code == 400 and "check the Latin name" in answer.text and ordered(pages) == []
    proposed = re.search(r'name="family_latin" value="([A-Za-z]+)"', answer.text)
    assert proposed is not None and 'value="بنعلي"' in answer.text


def test_side_is_taken_where_the_exam_has_two() -> None:
    assert wish_of({**WISH, "exam": PAIRED, "side": "L"}, CATALOGUE).laterality == "L"
    assert wish_of({**WISH, "side": "L"}, CATALOGUE).laterality == ""
    with pytest.raises(OrderError) as refused:
        wish_of({}, CATALOGUE)
    assert str(refused.value) in REFUSALS


def test_revoked_units_get_no_order(fresh: Pages, person: Browser) -> None:
    with fresh.site.database.write() as connection:
        revoke_unit(connection, UNIT_ID, "2026-11-18T12:00:00Z")
    assert "van-1" not in person.get("/orders").text
    assert order(person).status_code == 400 and ordered(fresh) == []


def test_orders_name_patients_and_are_audited_and_not_for_everybody(fresh: Pages, person: Browser) -> None:
    order(person)
    person.get("/orders")
    assert fresh.audit.count('EventActionCode="U"') == 1
    assert "Benali^Aicha=بنعلي^عائشة" in fresh.audit
    assert fresh.signed_in("ruler", Role.ADMIN).get("/orders").status_code == 403
    assert fresh.browser().get("/orders").status_code == 303
