"""A name goes into three character sets and loses nothing in silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.registration import PersonName
from appliance.registration.names import (
    NameRefusedError,
    NoLatinNameError,
    checked_name,
    pn_ascii,
    pn_latin1,
    pn_utf8,
)
from tests.registration.made import AICHA

LATIN = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x17F, categories=["Lu", "Ll", "Zs"]), min_size=1, max_size=25
)
ARABIC = st.text("ابتثجحخدذرزسشصضطظعغفقكلمنهويءأإآؤئةى", min_size=1, max_size=25)


def test_name_in_every_character_set() -> None:
    assert pn_ascii(AICHA) == "Benali^Aicha"
    assert pn_latin1(AICHA) == "Benali^Aïcha"
    assert pn_utf8(AICHA) == "Benali^Aïcha=بنعلي^عائشة"


def test_letter_that_latin_1_lacks_is_replaced_there_alone() -> None:
    name = PersonName(family_latin="Œuvrard", given_latin="Łucja")
    assert (pn_latin1(name), pn_utf8(name)) == ("OEuvrard^Lucja", "Œuvrard^Łucja")


def test_direction_marks_never_reach_a_console() -> None:
    name = checked_name(PersonName(family_latin="\u202eBenali", family_arabic="\u200fبن\u200eعلي"))
    assert pn_utf8(name) == "Benali=بنعلي"


@given(LATIN, LATIN, ARABIC, ARABIC)
def test_any_accepted_name_can_be_encoded_and_read_back(family: str, given: str, family_ar: str, given_ar: str) -> None:
    entered = PersonName(family_latin=family, given_latin=given, family_arabic=family_ar, given_arabic=given_ar)
    try:
        name = checked_name(entered)
    except NameRefusedError:
        return
    assert checked_name(name) == name
    assert pn_ascii(name).isascii()
    assert pn_latin1(name).encode("latin-1").decode("latin-1") == pn_latin1(name)
    latin, _, arabic = pn_utf8(name).partition("=")
    assert latin.split("^")[0] == name.family_latin
    assert tuple(arabic.split("^")) == (name.family_arabic, name.given_arabic)


def test_arabic_name_alone_is_refused_with_a_proposal_and_never_spelled_in_silence() -> None:
    with pytest.raises(NoLatinNameError, match="guess") as refused:
        checked_name(PersonName(family_arabic="بنعلي", given_arabic="فاطمة"))
    proposal = refused.value.proposal
    assert (proposal.family_latin, proposal.given_latin) == ("Benali", "Fatima")
    assert checked_name(proposal).family_arabic == "بنعلي"


@pytest.mark.parametrize(
    ("entered", "sentence"),
    [
        (PersonName(), "no name"),
        (PersonName(family_latin="\u200f "), "no name"),
        (PersonName(family_latin="Benali^X"), "'\\^'"),
        (PersonName(family_latin="Benali", given_latin="a=b"), "'='"),
        (PersonName(family_latin="Ben\\ali"), "DICOM"),
        (PersonName(family_latin="بنعلي"), "belong into the Arabic field"),
        (PersonName(family_latin="Benali", family_arabic="Benali"), "no Arabic letter"),
        (PersonName(family_latin="Benali", family_arabic="بنعلي Benali"), "mixes"),
        (PersonName(family_latin="Иванов"), "no plain Latin letter"),
        (PersonName(family_latin="B" * 65), "longer than 64"),
        (PersonName(family_latin="Œ" * 40), "longer than 64"),
        (PersonName(family_latin="Benali", family_arabic="ب" * 40, given_arabic="ب" * 40), "Arabic name is longer"),
    ],
)
def test_what_no_name_can_be_is_refused_with_a_sentence(entered: PersonName, sentence: str) -> None:
    with pytest.raises(NameRefusedError, match=sentence):
        checked_name(entered)
