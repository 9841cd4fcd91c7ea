"""Files that come back by C-MOVE: in our folder while the read-back runs, and gone with it however it ends."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pynetdicom.dimse_messages
import pytest
from pynetdicom import AE

from appliance.clock import SystemClock
from appliance.config import DimseDestination
from appliance.domain.limits import LimitSet
from sync.adapters.failures import Failed, failure
from sync.adapters.listener import Listener
from sync.adapters.moving import Returned, handlers, listener_contexts, receiving_into
from tests.support.files import small_chest
from tests.support.pacs import item_of
from tests.support.ports import free_ports
from tests.support.world import wait_for


def received(content: bytes) -> Path:
    """What pynetdicom leaves of a data set that came, whole or cut off: it never removes one that was cut off."""
    module = pynetdicom.dimse_messages
    with module.NamedTemporaryFile(delete=False, mode="wb", suffix=".dcm") as file:  # type: ignore[attr-defined] # an import of theirs
        file.write(content)
    return Path(file.name)


@pytest.mark.parametrize(("bytes_max", "is_taken"), [(1 << 30, True), (10_000, False)])
def test_association_that_brings_more_than_was_asked_for_is_cut(tmp_path: Path, bytes_max: int, is_taken: bool) -> None:
    item = item_of(small_chest(tmp_path / "sent.dcm", 1), 1)
    assert item.size_bytes > 10_000
    (port,) = free_ports(1)
    table = DimseDestination(
        name="centre", host="127.0.0.1", port=104, called_ae_title="CENTRE", proof="move", commitment_port=port
    )
    returned, before = Returned([item]), set(threading.enumerate())
    with receiving_into(tmp_path):
        listener = Listener(
            table,
            LimitSet(),
            SystemClock(),
            listener_contexts([item]),
            handlers(returned),
            size_bytes=item.size_bytes,
            bytes_max=bytes_max,
        )
        try:
            ae = AE("CENTRE")
            ae.add_requested_context(item.sop_class_uid, item.transfer_syntax_uid)
            association = ae.associate("127.0.0.1", port, ae_title=table.calling_ae_title)
            assert association.dul.socket is not None and association.dul.socket.socket is not None
            with closing(association.dul.socket.socket):  # pynetdicom leaves it open when the peer was first to go
                status = association.send_c_store(item.path)
                association.abort()
        finally:
            listener.close()
        wait_for(lambda: not set(threading.enumerate()) - before, "all threads")
        assert ("Status" in status, returned.take(item.sop_instance_uid) is not None) == (is_taken, is_taken)


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
