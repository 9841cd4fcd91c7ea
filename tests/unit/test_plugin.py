"""The plugin as Orthanc loads it, with a stub in the place of Orthanc that knows only what the plugin may use."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from appliance.orthanc import blobs
from appliance.orthanc.door import (
    CONTENT_DICOM,
    STATUS_CONFLICT,
)
from tests.support.door_bench import Bench, dicom
from tests.support.orthanc_stub import AnswersStub, InstanceStub, OrthancStub, OutputStub, load_plugin
from tests.support.worklists import Made, insert, part10, query


@pytest.fixture
def plugin(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[OrthancStub]:
    settings = bench.settings
    section = {
        "Version": "0",
        "DoorDatabase": str(settings.door_db),
        "BlobDirectory": str(settings.blob_dir),
        "QuarantineDirectory": str(settings.quarantine_dir),
        "AttachmentDirectory": str(settings.attachment_dir),
        "IndexLog": str(settings.index_wal),
        "FreeBytesFloor": 0,
        "FreeInodeFloor": 0,
        "ObjectBytesMax": 1 << 31,
        "ObjectShareOfFreeSpaceMax": 1.0,
        "QuarantineFileCountMax": 1_000,
        "UnitDatabase": str(settings.door_db.with_name("unit.db")),
        "CharacterSets": {"XRAY1": "utf8"},
        "WorklistAnswerCountMax": 2,
        "WorklistQueryBytesMax": 65_536,
        "WorklistBusySecondsMax": 5.0,
    }
    stub = OrthancStub({"Qafila": section})
    module = load_plugin(stub, monkeypatch)
    assert Path(blobs.__file__).parent not in map(Path, sys.path), "our file names must shadow nobody's modules"
    yield stub
    module._DOOR._ledger.close()


def test_plugin_admits_a_small_object_by_its_bytes(plugin: OrthancStub, bench: Bench) -> None:
    (on_incoming,) = plugin.registered["IncomingCStoreInstanceFilter"]
    dicom_instance = InstanceStub(GetInstanceRemoteAet="XRAY1", GetInstanceSize=len(dicom()), GetInstanceData=dicom())
    assert on_incoming(dicom_instance) == 0
    create, read, _remove = plugin.registered["StorageArea"]
    blob_uuid = str(uuid.uuid4())
    create(blob_uuid, CONTENT_DICOM, dicom())
    plugin.registered["OnStoredInstanceCallback"][0](InstanceStub(), "orthanc-id")
    assert read(blob_uuid, CONTENT_DICOM) == dicom()
    assert bench.rows("SELECT calling_ae_title FROM kept") == [("XRAY1",)]


def test_plugin_copies_a_big_object_only_when_its_uid_is_known(plugin: OrthancStub, bench: Bench) -> None:
    (on_incoming,) = plugin.registered["IncomingCStoreInstanceFilter"]
    names = json.dumps({"SOPInstanceUID": "1.2.3"})
    big = 5 * 1024 * 1024
    unseen = InstanceStub(GetInstanceRemoteAet="X", GetInstanceSize=big, GetInstanceSimplifiedJson=names)
    assert on_incoming(unseen) == 0
    bench.store(dicom("1.2.3"))
    other = dicom("1.2.3", body=bytes(big))
    seen = InstanceStub(
        GetInstanceRemoteAet="X", GetInstanceSize=len(other), GetInstanceSimplifiedJson=names, GetInstanceData=other
    )
    assert on_incoming(seen) == STATUS_CONFLICT


def test_plugin_answers_the_worklist_in_the_character_set_of_the_asker(plugin: OrthancStub, bench: Bench) -> None:
    (on_worklist,) = plugin.registered["WorklistCallback"]
    made = Made()
    insert(bench.settings.door_db.with_name("unit.db"), [made, Made(station="US1")])
    answers = AnswersStub()
    asked = InstanceStub(WorklistGetDicomQuery=part10(query()))
    on_worklist(answers, asked, "XRAY1", "QAFILA")
    (file,) = answers.files
    assert made.name_utf8.encode() in file
    assert answers.is_complete


def test_plugin_marks_an_answer_that_is_not_whole(plugin: OrthancStub, bench: Bench) -> None:
    (on_worklist,) = plugin.registered["WorklistCallback"]
    insert(bench.settings.door_db.with_name("unit.db"), [Made() for _ in range(3)])
    answers = AnswersStub()
    on_worklist(answers, InstanceStub(WorklistGetDicomQuery=part10(query())), "XRAY1", "QAFILA")
    assert len(answers.files) == 2
    assert not answers.is_complete


def test_plugin_answers_its_facts(plugin: OrthancStub) -> None:
    route, on_rest = plugin.registered["RestCallback"]
    assert route == "/qafila/door"
    output = OutputStub()
    on_rest(output, route, method="GET")
    facts = json.loads(output.answer)
    assert facts["version"] == "0" and facts["free_bytes"] > 0 and facts["counts"] == {}
    assert facts["worklist"] == {"counts": {}, "last_error": ""}
    on_rest(output, route, method="POST")
    assert output.allowed == "GET"


def test_plugin_that_cannot_open_its_door_ends_orthanc(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []

    def end(status: int) -> NoReturn:
        ended.append(status)
        raise SystemExit(status)

    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(SystemExit):
        load_plugin(OrthancStub({}), monkeypatch)
    assert ended == [78]
