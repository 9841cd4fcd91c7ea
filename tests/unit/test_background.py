"""A background loop outlives every error of its worker, with fresh handles, and ends when it is asked to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from appliance.orthanc.background import Worker, keep_doing
from appliance.store.errors import StoreError, StoreFault
from tests.support.never import never


class Scripted:
    """A worker that fails where its script says so, and asks for the end when the script is over."""

    def __init__(self, script: list[Exception | None], stop: threading.Event) -> None:
        self.script, self.stop = script, stop
        self.opened_count = self.closed_count = 0

    @contextmanager
    def open(self) -> Iterator[Worker]:
        self.opened_count += 1
        try:
            yield self
        finally:
            self.closed_count += 1

    def step(self) -> float:
        outcome = self.script.pop(0)
        if not self.script:
            self.stop.set()
        if outcome:
            raise outcome
        return 0.0


@pytest.mark.fault(19)
def test_loop_goes_on_with_fresh_handles_after_every_error(capsys: pytest.CaptureFixture[str]) -> None:
    stop = never()
    errors = [
        StoreError(StoreFault.IO, "/x/unit.db: the disk reported an error"),
        OSError(28, "No space left on device"),
        KeyError("BENALI^FATIMA"),
    ]
    worker = Scripted([None, errors[0], None, errors[1], errors[2], None], stop)
    keep_doing("unit.test", worker.open, stop)
    assert worker.script == []
    assert worker.opened_count == worker.closed_count == len(errors) + 1
    said = capsys.readouterr().err
    assert [name in said for name in ("StoreError", "OSError", "KeyError")] == [True] * 3
    assert "BENALI" not in said, "the text of an error may hold a patient's name"
