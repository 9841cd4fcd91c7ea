"""The catalogue of failures in the code and the page for people say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.domain.failure import FailureKind
from sync.adapters.failures import CATALOGUE, failure

ROOT = Path(__file__).parents[2]
SECTION = re.compile(r"^## .*\(`(?P<kind>link|transient|permanent)`\)$")
ROW = re.compile(r"^\| `(?P<code>[a-z0-9-]+)` \| (?P<sentence>.+?) \| (?P<advice>.+?) \|$")


def page_rows() -> dict[str, tuple[str, str, str]]:
    rows, kind = {}, ""
    for line in (ROOT / "docs/reference/failures.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            found = SECTION.match(line)
            kind = found["kind"] if found else ""
        elif kind and (row := ROW.match(line)):
            assert row["code"] not in rows
            rows[row["code"]] = (kind, row["sentence"], row["advice"])
    return rows


def test_failures_page_and_catalogue_agree() -> None:
    assert page_rows() == {code: (e.kind.value, e.sentence, e.advice) for code, e in CATALOGUE.items()}


def test_every_code_used_in_the_adapters_is_in_the_catalogue_and_the_other_way_round() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "sync/adapters").rglob("*.py")))
    outside = text.split("CATALOGUE: ", 1)[0] + text.split("}\n\n\nclass", 1)[1]
    used = set(re.findall(r'"([a-z]+(?:-[a-z0-9]+)*)"', outside))
    built = {code for code in CATALOGUE if re.match(r"http-(401|403|429|50[234])$|dimse-0\d\d\d$", code)}
    assert set(CATALOGUE) - used - built == set()
    passed = set(re.findall(r'failure\("([a-z0-9-]+)"', text))
    assert passed - set(CATALOGUE) == set()


@pytest.mark.parametrize("code", CATALOGUE)
def test_sentences_are_for_people(code: str) -> None:
    made = failure(code)
    assert made.sentence.endswith(".")
    assert "safe" in made.sentence
    words = made.sentence.lower()
    assert not any(word in words for word in ("error", "http", "dimse", "scp", "0x", "tls", "errno"))
    assert (made.kind is FailureKind.LINK) == ("wait safely" in made.sentence)
