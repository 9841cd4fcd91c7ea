"""From a manifest to a receipt: what is announced and sent is in the PACS, bit for bit, and the unit is told."""

from __future__ import annotations

from pathlib import Path

from sync.wire.messages import InstanceState
from tests.gateway.rig import Gateway, Pacs, Unit, picture_in_parts


def test_instance_sent_in_parts_is_in_the_pacs_and_its_receipt_in_the_inbox(
    gateway: Gateway, pacs: Pacs, unit: Unit, tmp_path: Path
) -> None:
    picture = picture_in_parts(tmp_path, seed=10)
    answer = unit.announce(picture)
    assert {state.offset for state in answer.parts.values()} == {0}
    assert answer.instances[picture.uid].state is InstanceState.ANNOUNCED
    for content in picture.contents.values():
        unit.send_part(content)
    (entry,) = unit.wait_for_entries(1)
    receipt = unit.receipt(entry.receipt)
    assert (receipt.unit_id, receipt.sop_instance_uid, receipt.sha256, receipt.size_bytes) == (
        unit.unit_id,
        picture.uid,
        picture.instance.sha256,
        len(picture.file),
    )
    assert (receipt.method, receipt.pacs, receipt.epoch) == ("wado", "pacs", unit.epoch)
    assert receipt.dataset_sha256 and receipt.pixel_sha256
    assert pacs.held[picture.uid] == picture.file
    again = unit.announce(picture)
    assert again.instances[picture.uid].state is InstanceState.VERIFIED
    assert again.instances[picture.uid].receipt == entry.receipt
    assert all(state.complete for state in again.parts.values())
