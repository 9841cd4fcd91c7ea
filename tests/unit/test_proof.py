"""What a read-back proves, and what it does not."""

from __future__ import annotations

from pathlib import Path

from appliance.domain.failure import FailureKind
from sync.adapters.base import SendItem
from sync.adapters.proof import Reading, prove

ITEM = SendItem(
    1, "1.2.3.9", "1.2.840.10008.5.1.4.1.1.7", "1.2.3", "1.2.3.4", "1.2.840.10008.1.2.1", 10, "a" * 64, Path()
)


def test_picture_that_left_this_unit_while_it_was_looked_at_again_is_no_conflict() -> None:
    """A permanent failure here would take the receipt back from a picture that was rightly evicted."""

    def read() -> Reading | None:
        raise FileNotFoundError

    checked = prove(ITEM, "wado", read)
    assert checked.failure is not None
    assert checked.failure.kind is FailureKind.TRANSIENT
    assert checked.evidence is None
    assert not checked.absent
