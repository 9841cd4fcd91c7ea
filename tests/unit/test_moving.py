"""Files that come back by C-MOVE: in our folder while the read-back runs, and gone with it however it ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pynetdicom.dimse_messages
import pytest

from sync.adapters.failures import Failed, failure
from sync.adapters.moving import Returned, receiving_into
from tests.support.files import small_chest
from tests.support.pacs import item_of


def received(content: bytes) -> Path:
    """What pynetdicom leaves of a data set that came, whole or cut off: it never removes one that was cut off."""
    module = pynetdicom.dimse_messages
    with module.NamedTemporaryFile(delete=False, mode="wb", suffix=".dcm") as file:  # type: ignore[attr-defined] # an import of theirs
        file.write(content)
    return Path(file.name)


def test_nothing_is_left_of_a_read_back_that_was_cut_off(tmp_path: Path) -> None:
    item = item_of(small_chest(tmp_path / "sent.dcm", 1), 1)
    work = tmp_path / "work"
    work.mkdir()
    returned = Returned([item])
    with pytest.raises(Failed), receiving_into(work):
        received(b"cut off")
        request = SimpleNamespace(AffectedSOPInstanceUID=item.sop_instance_uid)
        whole = received(b"whole")
        assert whole.is_relative_to(work)
        assert returned.on_store(SimpleNamespace(request=request, dataset_path=str(whole))) == 0x0000
        raise Failed(failure("connection-lost"))
    assert list(work.rglob("*")) == []
