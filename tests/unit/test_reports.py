"""How a report ended, whatever its thread came to."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from appliance.services import reports


@pytest.mark.parametrize("code", ["", "stalled"])
def test_outcome_of_a_report_is_what_its_thread_says(code: str) -> None:
    telling: Future[str] = Future()
    telling.set_result(code)
    assert reports._outcome(telling) == code


def test_mistake_of_ours_counts_as_a_failed_attempt_and_quotes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    telling: Future[str] = Future()
    try:
        raise ValueError("BENALI^FATIMA")
    except ValueError as error:
        telling.set_exception(error)
    assert reports._outcome(telling) == "program-fault"
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "BENALI" not in said
