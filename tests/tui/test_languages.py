"""The catalogues fit the sources: French says everything, Arabic what it says fits, and every name in braces stays."""

from __future__ import annotations

import string

import pytest

from appliance.domain.wording import stored
from tests.contract.catalogues import CODES, is_translated, merged, mo_bytes, po_path, po_text, untranslated
from tui import arabic
from tui.language import catalogue_of


@pytest.mark.parametrize("code", CODES)
def test_files_fit_the_sources(code: str) -> None:
    catalog = merged(code)
    again = "run: python -m tests.contract.catalogues --write"
    assert po_path(code).read_bytes() == po_text(catalog), again
    assert po_path(code).with_suffix(".mo").read_bytes() == mo_bytes(catalog), again


@pytest.mark.parametrize("code", CODES)
def test_language_lacks_nothing(code: str) -> None:
    assert untranslated(merged(code)) == []


@pytest.mark.parametrize("code", CODES)
def test_translation_has_the_names_of_the_original(code: str) -> None:
    for message in merged(code):
        if message.id and isinstance(message.id, str) and is_translated(message):
            assert _names(str(message.string)) == _names(message.id), message.id


def _names(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def test_what_was_written_down_in_english_is_said_sentence_by_sentence() -> None:
    french = catalogue_of("fr")
    assert stored("The connection to the destination broke. Studies wait safely on this unit.").said(french) == (
        "La connexion avec le centre a été coupée. Les examens attendent en sûreté sur cette unité."
    )
    assert stored("Nobody wrote this. Nothing was changed.").said(french) == "Nobody wrote this. Rien n'a été changé."


@pytest.mark.parametrize("line", ["ولدت في 1984-03-12", "الاسم: علي · 1984-03-12 · ID QF-23", "1984-03-12 علي"])
def test_birth_date_keeps_the_order_of_its_parts_in_a_line_that_is_turned(line: str) -> None:
    turned = arabic.visual(line, whole_line=True)
    assert "1984-03-12" in turned and len(turned) <= len(line)
