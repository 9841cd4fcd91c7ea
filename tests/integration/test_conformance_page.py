"""The lists of the conformance statement that Orthanc decides about are what both Orthancs accept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.presentation import build_context

from tests.contract.test_conformance_page import uids
from tests.support.doors import UnitDoor, start_door, unit_config
from tests.support.orthancs import orthanc_commands

pytestmark = pytest.mark.orthanc

CR = "1.2.840.10008.5.1.4.1.1.1"
PRIVATE = "1.2.826.0.1.3680043.8.498.999"
WORKLIST = "1.2.840.10008.5.1.4.31"
CONTEXT_COUNT_MAX = 128


def accepted(door: UnitDoor, wanted: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which SOP classes with which transfer syntax a listed device may use, each asked for by itself."""
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in wanted]
    config, found = door.config, set()
    for begin in range(0, len(contexts), CONTEXT_COUNT_MAX):
        association = AE(config.modality[0].ae_title).associate(
            "127.0.0.1",
            config.orthanc.dicom_port,
            contexts[begin : begin + CONTEXT_COUNT_MAX],
            ae_title=config.dicom.ae_title,
        )
        assert association.is_established
        found |= {(str(one.abstract_syntax), str(one.transfer_syntax[0])) for one in association.accepted_contexts}
        association.release()
    return found


@pytest.mark.parametrize("orthanc", orthanc_commands())
def test_what_orthanc_takes_stands_on_the_page(orthanc: str, tmp_path: Path) -> None:
    explicit = str(ExplicitVRLittleEndian)
    storage = {
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and "Commitment" not in name and "Media" not in name
    }
    syntaxes = [uid for uid, (_, kind, *_) in UID_dictionary.items() if kind == "Transfer Syntax"]
    with start_door(unit_config(orthanc, tmp_path / "data")) as door:
        classes = accepted(door, [(uid, explicit) for uid in sorted({*storage, PRIVATE})])
        taken = accepted(door, [(CR, uid) for uid in syntaxes])
        answered = accepted(door, [(WORKLIST, uid) for uid in syntaxes])
    refused = storage - {uid for uid, _ in classes}
    # The newer one refuses one more, which the page therefore names.
    assert refused <= set(uids("Not accepted"))
    assert {uid for uid in uids("Storage SOP classes") if (uid, explicit) not in classes} == set()
    assert (PRIVATE, explicit) in classes
    assert {uid for _, uid in taken} == set(uids("Storage transfer syntaxes"))
    assert {uid for _, uid in answered} == set(uids("Worklist transfer syntaxes"))
