"""What units say of an answer is known sentence by sentence, and what is not known is shown as it came."""

from __future__ import annotations

import ast
from pathlib import Path

from appliance.answers import ordering, taking
from central.review.outcomes import SENTENCES, sentences_of


def test_sentences_are_found_with_their_numbers() -> None:
    placed = ("On the unit's worklist as %(number)s.", {"number": "A-7"})
    assert sentences_of("On the unit's worklist as A-7.") == (placed,)
    both = sentences_of(f"The order does not say which side. {ordering.BY_HAND}")
    assert [words for words, _ in both] == ["The order does not say which side.", ordering.BY_HAND]
    assert sentences_of("Something new. 100 % done.") == (("Something new. 100 % done.", {}),)
    assert sentences_of("") == ()


def test_every_sentence_that_units_write_is_known() -> None:
    """Found in their source: a sentence that is changed there must be changed here."""
    written = {taking.UNREADABLE, taking.NO_STUDY, taking.URGENT, ordering.BY_HAND}
    tree = ast.parse(Path(ordering.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_NeedsPersonError":
            written.add(ast.literal_eval(node.args[0]))
    assert len(written) > 7 and written <= set(SENTENCES)
