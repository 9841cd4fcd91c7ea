"""Every word that the pages say exists in French and Arabic, with the same values in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from central.review import access, order_form, outcomes, reading_view, report_form
from central.review.language import load_languages
from central.review.notes_view import PREGNANCY_WORDS
from central.review.pages.fleet import ALARM_WORDS, LINK_WORDS
from central.review.pages.listing import STATE_WORDS
from central.review.pages.reading import SENTENCES
from central.review.pages.study import EVENT_WORDS
from central.review.registry import NAVIGATION

REVIEW = Path(access.__file__).parent
_CALL = re.compile(r'\b_\(\s*"((?:[^"\\]|\\.)*)"')
_VALUE = re.compile(r"%\(\w+\)s")
_COUNT = re.compile(r'\bcount\(\s*"([^"]*)",\s*"([^"]*)"')
_SAYS = {"Halt": 1, "PasswordError": 0, "say": 0}
"""Which argument of these is a sentence for people."""


def _in_templates() -> set[str]:
    return {said for page in REVIEW.rglob("*.html") for said in _CALL.findall(page.read_text(encoding="utf-8"))}


def _nodes() -> list[ast.AST]:
    files = REVIEW.rglob("*.py")
    return [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]


def _in_code() -> set[str]:
    """Constant sentences of what is raised at people."""
    found = set()
    for node in _nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SAYS:
            place = _SAYS[node.func.id]
            said = node.args[place] if len(node.args) > place else None
            if isinstance(said, ast.Constant):
                found.add(str(said.value))
    return found


def _all() -> set[str]:
    try:
        access.hash_password("short", "somebody")
        raise AssertionError("a short password was taken")
    except access.PasswordError as error:
        short = str(error)
    words = {item.words for item in NAVIGATION}
    return {
        *_in_templates(),
        *_in_code(),
        *ALARM_WORDS.values(),
        *LINK_WORDS.values(),
        *STATE_WORDS.values(),
        *EVENT_WORDS.values(),
        *SENTENCES,
        *PREGNANCY_WORDS.values(),
        *order_form.REFUSALS,
        *outcomes.SENTENCES,
        *order_form.SIDE_WORDS.values(),
        *report_form.REFUSALS.values(),
        *reading_view.FILING_WORDS.values(),
        *reading_view.WAY_WORDS.values(),
        *reading_view.KIND_WORDS.values(),
        *reading_view.URGENCY_WORDS.values(),
        *words,
        short,
    }


@pytest.mark.parametrize("code", ["fr", "ar"])
def test_every_sentence_is_translated_with_its_values(code: str) -> None:
    words = load_languages()[code].words
    said = _all()
    assert len(said) > 60, "the search for sentences found nothing"
    assert sorted(said - words.keys()) == []
    constants = {node.value for node in _nodes() if isinstance(node, ast.Constant)}
    assert sorted(words.keys() - said - constants) == [], "nobody says this any more"
    for english in said:
        assert sorted(_VALUE.findall(english)) == sorted(_VALUE.findall(words[english])), english


@pytest.mark.parametrize("code", ["fr", "ar"])
def test_every_count_has_all_its_forms(code: str) -> None:
    plurals = load_languages()[code].plurals
    said = {one for page in REVIEW.rglob("*.html") for one, _ in _COUNT.findall(page.read_text(encoding="utf-8"))}
    assert said and sorted(said - plurals.keys()) == []
