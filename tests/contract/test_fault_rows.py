"""The page of the fault matrix says what the tests say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.fault_rows import PAGE, TESTS, MarkedTest, Row, marked_tests, page, rows

SOURCE = """
import pytest
pytestmark = pytest.mark.fault(1)

@pytest.mark.fault(2)
@pytest.mark.slow
def test_cut(): ...

@pytest.mark.fault(3)
class TestDoor:
    @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.fault(4))])
    async def test_opens(self, n): ...

@pytest.mark.fault(9)
def helper(): ...
"""


def test_page_is_what_the_marks_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(rows(), marked_tests(TESTS)), (
        "run: .venv/bin/python -m tests.contract.fault_rows --write"
    )


def test_every_mark_names_a_row_of_the_matrix() -> None:
    assert set(marked_tests(TESTS)) <= {row.number for row in rows()}


def test_matrix_has_every_row_once_in_order() -> None:
    assert [row.number for row in rows()] == list(range(1, 73))


def test_marks_are_found_on_modules_classes_functions_and_parameters(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_x.py").write_text(SOURCE, encoding="utf-8")
    cut = MarkedTest("tests/test_x.py", "test_cut", slow=True)
    opens = MarkedTest("tests/test_x.py", "TestDoor.test_opens", slow=False)
    assert marked_tests(folder) == {1: [opens, cut], 2: [cut], 3: [opens], 4: [opens]}


@pytest.mark.parametrize(
    ("partly", "tests", "status"),
    [
        ("", [], "not yet (issue 5)"),
        ("no board here", [], "not yet (issue 5)"),
        ("", [MarkedTest("f", "t", slow=False)], "covered"),
        ("", [MarkedTest("f", "t", slow=True)], "covered by a long run"),
        ("no board here", [MarkedTest("f", "t", slow=False)], "partly: no board here"),
    ],
)
def test_status_of_a_row(partly: str, tests: list[MarkedTest], status: str) -> None:
    text = page([Row(1, "power | cut", "kept", 5, partly)], {1: tests})
    assert f"| {status} |" in text
    assert "power / cut" in text
