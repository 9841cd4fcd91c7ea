"""Every finding can be said in three languages, with the same facts in each."""

from __future__ import annotations

import string

import pytest

from appliance.domain.quality import CheckCode, Severity
from appliance.quality.sentences import LANGUAGES, Language, catalogue, sentence, word

CHARS_MAX = 100


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_code_has_a_sentence_and_no_other() -> None:
    assert set(catalogue()) - {"words"} == {code.value for code in CheckCode}


@pytest.mark.parametrize("code", CheckCode)
def test_languages_say_the_same_facts_shortly(code: CheckCode) -> None:
    entry = catalogue()[code]
    assert set(entry) == set(LANGUAGES)
    assert len({frozenset(placeholders(text)) for text in entry.values()}) == 1
    assert all(0 < len(text) <= CHARS_MAX for text in entry.values())


def test_every_word_is_in_every_language() -> None:
    words = catalogue()["words"]
    assert all(set(entry) == set(LANGUAGES) for entry in words.values())
    assert set(Severity) <= set(words)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "DI +3.4 - too much exposure."),
        ("fr", "DI +3,4 - exposition trop forte."),
        ("ar", "DI +3.4 - تعريض زائد."),
    ],
)
def test_exposure_is_said_in_words(language: Language, said: str) -> None:
    assert sentence("exposure-high", {"deviation_index": 3.4}, language) == said


def test_absent_exposure_is_not_supplied() -> None:
    assert sentence("exposure-missing", {}, "en") == "Exposure: DI not supplied."


def test_sides_and_attributes_are_words() -> None:
    assert "left" in sentence("laterality-differs", {"found": "R", "ordered": "L"}, "en")
    assert "nom, sexe" in sentence("identity-differs", {"attributes": ["PatientName", "PatientSex"]}, "fr")


@pytest.mark.parametrize(("seconds", "said"), [(30, "1 min"), (6900, "115 min"), (7200, "2 h"), (864_000, "10 days")])
def test_differences_of_clocks_are_rounded(seconds: int, said: str) -> None:
    assert said in sentence("clock-ahead", {"difference_s": seconds, "made_at": "x"}, "en")


def test_finding_of_another_release_is_still_said() -> None:
    assert sentence("new-thing", {"b": 1, "a": "x"}, "fr") == "new-thing a=x b=1"
    assert "?" in sentence("view-differs", {}, "fr")
    assert word("never-heard", "ar") == "never-heard"
