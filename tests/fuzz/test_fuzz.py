"""A short fuzz of every parser in each test run, and proof that the fuzzer finds what is planted."""

from __future__ import annotations

import pytest

from tests.fuzz.running import TooSlow, fuzz
from tests.fuzz.targets import TARGETS, Target
from tests.support.import_files import pdf


@pytest.mark.parametrize("name", sorted(TARGETS))
@pytest.mark.filterwarnings("ignore")
def test_parser_raises_only_what_it_promises(name: str) -> None:
    assert fuzz(TARGETS[name], seed=20260105, example_count=150) > 0


def test_planted_crash_is_found() -> None:
    def parse(data: bytes) -> None:
        if b"/Pages" in data and b"/Type" not in data[:60]:
            raise IndexError("planted")

    with pytest.raises(IndexError, match="planted"):
        fuzz(Target(parse, lambda: [pdf()]), seed=1, example_count=2000)


def test_promised_error_is_no_crash() -> None:
    def parse(data: bytes) -> None:
        raise KeyError

    assert fuzz(Target(parse, lambda: [b"abc"], (KeyError,)), seed=1, example_count=50) == 0


def test_endless_loop_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(data: bytes) -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:
                continue

    monkeypatch.setattr("tests.fuzz.running.EXAMPLE_S_MAX", 1)
    with pytest.raises(TooSlow):
        fuzz(Target(parse, lambda: [b"abc"]), seed=1, example_count=1)
