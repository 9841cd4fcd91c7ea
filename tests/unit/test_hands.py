"""Reading a stored file back before it may be sent."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from appliance.domain.failure import FailureKind
from sync.adapters.base import SendItem
from sync.hands import MISSING_TRY_COUNT, check_file

BODY = b"picture" * 1000


def stored(path: Path, body: bytes = BODY) -> SendItem:
    return SendItem(1, "1.2.3", "1.2", "1.2.4", "1.2.5", "1.2.840.10008.1.2.1", len(body), _sha256(body), path)


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def test_file_that_is_what_was_kept_passes(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(BODY)
    assert check_file(stored(tmp_path / "blob"), threading.Event(), 0) is None


@pytest.mark.parametrize("damage", [b"", BODY[:-1], BODY + b"x", BODY[:-1] + b"~"])
@pytest.mark.fault(21)
def test_file_with_other_bytes_is_never_sent(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "blob").write_bytes(damage)
    failure = check_file(stored(tmp_path / "blob"), threading.Event(), 0)
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.PERMANENT, "blob-damaged")


def test_missing_file_is_looked_for_again_before_a_person_is_asked(tmp_path: Path) -> None:
    kinds = []
    for attempt_count in range(MISSING_TRY_COUNT + 1):
        failure = check_file(stored(tmp_path / "gone"), threading.Event(), attempt_count)
        assert failure is not None
        kinds.append(failure.kind)
    assert kinds == [FailureKind.TRANSIENT] * MISSING_TRY_COUNT + [FailureKind.PERMANENT]


def test_instance_without_a_row_is_permanent() -> None:
    failure = check_file(None, threading.Event(), 0)
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.PERMANENT, "blob-unknown")


def test_stop_ends_the_reading_without_a_verdict_on_the_file(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(BODY)
    stop = threading.Event()
    stop.set()
    failure = check_file(stored(tmp_path / "blob"), stop, 0)
    assert failure is not None
    assert failure.kind is FailureKind.TRANSIENT
