"""Every way to write a name is one once it is folded, and folding invents nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.registration.folding import ascii_digits, clean, fold, is_arabic, plain_latin, sound
from appliance.registration.transliteration import propose_latin

BIDI = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c"
VOWEL_SIGNS = "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0670"
ARABIC_LETTERS = "ابتثجحخدذرزسشصضطظعغفقكلمنهويءأإآؤئةى"
ARABIC_NAMES = st.text(ARABIC_LETTERS, min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Aïcha", "AICHA"),
        ("Éléonore", "Eleonore"),
        ("D’Angelo", "d'angelo"),
        ("El-Alaoui", "El  Alaoui"),
        ("Œuvrard", "Oeuvrard"),
        ("Müller-Groß", "MULLER GROSS"),
        ("Łukasz", "Lukasz"),
        ("أحمد", "احمد"),
        ("إبراهيم", "ابراهيم"),
        ("آمنة", "امنه"),
        ("ٱلله", "الله"),
        ("فاطمة", "فاطمه"),
        ("مصطفى", "مصطفي"),
        ("مـحـمـد", "محمد"),
        ("مُحَمَّد", "محمد"),
        ("سناء", "سنا"),
        ("مسؤول", "مسوول"),
        ("عائشة", "عايشه"),
        ("ﻓﺎﻃﻤﺔ", "فاطمة"),
        ("گلناز", "كلناز"),
        ("یوسف", "يوسف"),
        ("١٢٣۴", "1234"),
    ],
)
def test_spellings_of_one_name_fold_to_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other) != ""


@pytest.mark.parametrize(("one", "other"), [("Benali", "Bennali"), ("محمد", "محمود"), ("علي", "عالي"), ("1", "2")])
def test_different_names_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text())
def test_folding_twice_is_folding_once_and_leaves_words_of_letters_and_digits(text: str) -> None:
    once = fold(text)
    assert fold(once) == once
    assert once == " ".join(once.split())
    assert all(char.isalnum() or char == " " for char in once)


@given(st.text(), st.text(BIDI, min_size=1))
def test_direction_marks_change_nothing_wherever_they_stand(text: str, marks: str) -> None:
    spread = "".join(char + marks[index % len(marks)] for index, char in enumerate(text))
    assert fold(spread) == fold(text)
    assert not set(clean(spread)) & set(BIDI)


@given(ARABIC_NAMES, st.text(VOWEL_SIGNS + "ـ", max_size=12))
def test_vowel_signs_and_tatweel_change_nothing(name: str, signs: str) -> None:
    spread = "".join(char + sign for char, sign in zip(name, signs.ljust(len(name), "ـ"), strict=False))
    assert fold(spread) == fold(name)


@given(ARABIC_NAMES)
def test_alef_taa_and_alef_maqsura_forms_are_one(name: str) -> None:
    plain = name.translate(str.maketrans("أإآةى", "ااا" + "هي"))
    assert fold(plain) == fold(name)


@given(st.text(st.characters(codec="latin-1")))
def test_accents_of_latin_letters_change_nothing(text: str) -> None:
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    assert fold(bare) == fold(text)


@given(st.text("0123456789٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", min_size=1))
def test_digits_of_every_script_become_ascii_and_keep_their_value(text: str) -> None:
    assert ascii_digits(text).isascii()
    assert int(ascii_digits(text)) == int(text)


@given(st.text(st.characters(codec="latin-1")))
def test_plain_latin_loses_no_letter_of_latin_1(text: str) -> None:
    letters = [char for char in clean(text) if char.isalpha() and char not in "ªºµ"]
    plain = plain_latin("".join(letters))
    assert plain.isascii() and len(plain) >= len(letters)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Aïcha Œuvrard", "Aicha OEuvrard"),
        ("Groß", "Gross"),
        ("ØRSTED", "ORSTED"),
        ("L’Été", "L'Ete"),
        ("Đinh", "Dinh"),
    ],
)
def test_plain_latin_keeps_case(text: str, plain: str) -> None:
    assert plain_latin(text) == plain


@given(st.text())
def test_plain_latin_never_makes_latin_of_arabic(text: str) -> None:
    assert is_arabic(plain_latin(text)) == is_arabic(clean(text))


@pytest.mark.parametrize(
    "spellings",
    [
        ("Mohamed", "Mohammed", "Muhammad", "محمد", "مُحَمَّد"),
        ("Aïcha", "Aisha", "عائشة"),
        ("Fatima", "Fatma", "Fatimah", "فاطمة"),
        ("Ben Ali", "Benali", "Bennali", "بن علي"),
        ("El Alaoui", "Alaoui", "العلوي"),
        ("Youssef", "Yusuf", "Yousif", "يوسف"),
        ("Abdallah", "Abdullah", "عبد الله"),
        ("Zineb", "Zaynab", "زينب"),
    ],
)
def test_usual_spellings_of_a_name_sound_alike(spellings: tuple[str, ...]) -> None:
    assert len({sound(name) for name in spellings}) == 1


@pytest.mark.parametrize(("one", "other"), [("Fatima", "Khadija"), ("Benali", "Benkirane"), ("محمد", "أحمد")])
def test_other_names_sound_different(one: str, other: str) -> None:
    assert sound(one) != sound(other)


@given(st.text())
def test_sound_follows_folding(text: str) -> None:
    assert sound(fold(text)) == sound(text)


@given(ARABIC_NAMES)
def test_a_proposal_is_plain_latin(name: str) -> None:
    assert propose_latin(name).isascii()
    assert propose_latin(name) or not fold(name)


def test_a_proposal_knows_usual_spellings() -> None:
    assert propose_latin("فاطمة الزهراء") == "Fatima Zahra"
