"""English text that can be said in another language: whole, filled, counted, joined, and after a journey."""

from __future__ import annotations

import copy
import json
import pickle
import sqlite3

import pytest

from appliance.domain.wording import Wording, counted, joined, say, stored, told


class French:
    """A catalogue of a few messages."""

    def gettext(self, message: str, /) -> str:
        return {
            "{studies} not yet safe": "{studies} pas encore en sécurité",
            "held": "retenu",
            "The disk is full.": "Le disque est plein.",
            "": "the header of a catalogue",
        }.get(message, message)

    def ngettext(self, one: str, many: str, count: int, /) -> str:
        words = {"study": "examen", "studies": "examens"}
        return words[one if count < 2 else many]


SAFE = told("{studies} not yet safe", studies=counted(3, "study", "studies"))


def test_wording_is_english_text_and_is_said_with_its_values_in_the_other_language() -> None:
    assert SAFE == "3 studies not yet safe" and isinstance(SAFE, str)
    assert SAFE.said(French()) == "3 examens pas encore en sécurité"
    assert counted(0, "study", "studies").said(French()) == "0 examen", "French counts nothing as one"


def test_parts_are_said_one_by_one_and_what_came_from_outside_never_is() -> None:
    line = joined(": ", ("held", told("held"), stored("The disk is full.")))
    assert line == "held: held: The disk is full."
    assert line.said(French()) == "held: retenu: Le disque est plein."
    assert told("{name}", name="held").said(French()) == "held"
    assert say("held", French()) == "held" and say(7, French()) == 7


def test_braces_in_what_was_stored_or_typed_are_only_braces() -> None:
    assert stored("{who} {").said(French()) == "{who} {"
    assert told("{name}!", name="{name}").said(French()) == "{name}!"


def test_empty_text_stays_empty_whatever_the_catalogue_says_of_it() -> None:
    assert stored("").said(French()) == ""
    assert not stored("")


@pytest.mark.parametrize("text", [SAFE, joined(", ", (SAFE, "x")), stored("held")])
def test_wording_survives_copies_and_is_plain_text_for_others(text: Wording) -> None:
    for other in (pickle.loads(pickle.dumps(text)), copy.deepcopy(text)):
        assert other == text and other.said(French()) == text.said(French())
    assert json.loads(json.dumps([text])) == [str(text)]
    with sqlite3.connect(":memory:") as db:
        assert db.execute("SELECT ?", (text,)).fetchone() == (str(text),)
