"""Text from outside cannot move a cursor, hide, or make columns change place."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain import display


@given(st.text())
def test_safe_text_holds_no_control_format_or_line_character(text: str) -> None:
    safe = display.safe_text(text)
    assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for char in safe)


@given(st.text(), st.integers(min_value=0, max_value=60))
def test_fit_gives_exactly_the_width(text: str, width: int) -> None:
    assert display.cell_width(display.fit(display.safe_text(text), width)) == width


@given(st.text())
def test_person_name_is_never_reordered_by_a_terminal(text: str) -> None:
    assert not display.reads_right_to_left(display.person_name(text).replace(display.ARABIC_NAME, ""))


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("BENALI^AMINA", "BENALI, AMINA"),
        ("DUPONT^Marie^Thérèse^Dr", "DUPONT, Marie Thérèse Dr"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou"),
        ("=山田^太郎", "山田, 太郎"),
        ("بن علي^أمينة", display.ARABIC_NAME),
        ("BENALI^AMINA=بن علي^أمينة", "BENALI, AMINA"),
        ("", "(no name)"),
        ("^^^", "(no name)"),
        ("A\x1b[2J‮B", "A[2JB"),
    ],
)
def test_person_name_reads_as_people_write_it(stored: str, shown: str) -> None:
    assert display.person_name(stored) == shown


def test_combining_mark_without_a_letter_is_dropped() -> None:
    assert display.safe_text("̀a") == "a"
