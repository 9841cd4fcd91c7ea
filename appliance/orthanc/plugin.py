"""Orthanc's callbacks, bound to the door; the only file that imports ``orthanc``.

Orthanc loads it by ``PythonScript`` into the Python it was built with, puts this folder first on ``sys.path`` and
calls from its own threads. Modules of ours that it uses import the standard library only. No function of Orthanc's SDK
is called but those of the callback's own arguments: the filter runs under Orthanc's service lock, and a second thread
that held the interpreter lock while waiting for that one would stop reception for good.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import orthanc

_HERE = Path(__file__).resolve().parent
# This folder's names must not shadow anybody's; the project's root comes last, so nothing there shadows the library.
sys.path[:] = [*(entry for entry in sys.path if Path(entry or ".").resolve() != _HERE), str(_HERE.parent.parent)]

from appliance.clock import SystemClock  # noqa: E402 - only found after the lines above
from appliance.logging import log  # noqa: E402 - likewise
from appliance.orthanc.door import Door, DoorSettings  # noqa: E402 - likewise
from appliance.orthanc.ledger import Ledger  # noqa: E402 - likewise
from appliance.orthanc.worklist import Answers, Worklist, WorklistSettings  # noqa: E402 - likewise

COPY_BYTES_MAX = 4 * 1024 * 1024
"""From here on the filter asks for the UID first: a copy of 15 MB holds the interpreter lock for 5 to 37 ms, measured,
and the text of a radiograph's data set for 1 to 8 ms."""

EXIT_UNUSABLE = 78
"""Exit status when the door cannot open (``EX_CONFIG`` of sysexits.h)."""


def settings_from(section: dict[str, Any]) -> DoorSettings:
    """Read the ``Qafila`` section that ``appliance.orthanc.settings`` rendered."""
    return DoorSettings(
        door_db=Path(section["DoorDatabase"]),
        blob_dir=Path(section["BlobDirectory"]),
        quarantine_dir=Path(section["QuarantineDirectory"]),
        attachment_dir=Path(section["AttachmentDirectory"]),
        index_wal=Path(section["IndexLog"]),
        free_bytes_floor=int(section["FreeBytesFloor"]),
        free_inode_floor=int(section["FreeInodeFloor"]),
        object_bytes_max=int(section["ObjectBytesMax"]),
        object_share_of_free_space_max=float(section["ObjectShareOfFreeSpaceMax"]),
        quarantine_file_count_max=int(section["QuarantineFileCountMax"]),
    )


def worklist_settings_from(section: dict[str, Any]) -> WorklistSettings:
    """As ``settings_from``, for worklist queries."""
    return WorklistSettings(
        unit_db=Path(section["UnitDatabase"]),
        character_set_by_ae_title=section["CharacterSets"],
        answer_count_max=int(section["WorklistAnswerCountMax"]),
        query_bytes_max=int(section["WorklistQueryBytesMax"]),
        busy_s_max=float(section["WorklistBusySecondsMax"]),
    )


def open_door(section: dict[str, Any]) -> tuple[Door, Worklist]:
    """The door and the worklist, or the end of this process: Orthanc would go on without us, with no guard at all."""
    try:
        clock = SystemClock()
        settings = settings_from(section)
        return Door(settings, Ledger(settings.door_db, clock), clock), Worklist(worklist_settings_from(section))
    except Exception:
        with suppress(OSError):  # the log may lie on the same failing disk
            traceback.print_exc()
        os._exit(EXIT_UNUSABLE)


_SECTION: dict[str, Any] = json.loads(orthanc.GetConfiguration()).get("Qafila", {})
_DOOR, _WORKLIST = open_door(_SECTION)


def on_incoming(dicom: Any) -> int:
    """``IncomingCStoreInstanceFilter``: the DIMSE status, 0 to go on; raising answers 0xA700."""
    calling_ae_title = dicom.GetInstanceRemoteAet()
    size_bytes = dicom.GetInstanceSize()
    status = _DOOR.room_status(size_bytes, calling_ae_title)
    if status:
        return status
    if size_bytes >= COPY_BYTES_MAX:
        # DCMTK wrote the meta header from the data set, so both name the same instance.
        uid = str(json.loads(dicom.GetInstanceSimplifiedJson()).get("SOPInstanceUID", ""))
        if _DOOR.admit_unseen(uid, size_bytes, calling_ae_title):
            return status
    return _DOOR.admit(dicom.GetInstanceData(), calling_ae_title)


def on_stored(_dicom: Any, _orthanc_id: str) -> None:
    """``OnStoredInstance``: after Orthanc's commit and before its answer; it cannot refuse any more."""
    _DOOR.stored()


def on_worklist(answers: Any, query: Any, calling_ae_title: str, _called_ae_title: str) -> None:
    """Worklist callback; raising answers a failure. What it calls takes no lock of Orthanc's services."""
    outcome = Answers()
    for file in _WORKLIST.files(query.WorklistGetDicomQuery(), calling_ae_title, outcome):
        answers.WorklistAddAnswer(query, file)
    if not outcome.is_complete:
        answers.WorklistMarkIncomplete()


def on_rest(output: Any, _uri: str, **request: Any) -> None:
    """``GET /qafila/door``: the door's own facts as JSON."""
    if request["method"] != "GET":
        output.SendMethodNotAllowed("GET")
        return
    facts = {"version": _SECTION["Version"], **_DOOR.facts(), "worklist": _WORKLIST.facts()}
    output.AnswerBuffer(json.dumps(facts), "application/json")


# Functions of the module, not bound methods: plugin 5.0 lets go of the REST callback after the interpreter has ended,
# and crashes when that was the last reference.
orthanc.RegisterStorageArea(_DOOR.create, _DOOR.read, _DOOR.remove)
orthanc.RegisterIncomingCStoreInstanceFilter(on_incoming)
orthanc.RegisterOnStoredInstanceCallback(on_stored)
orthanc.RegisterWorklistCallback(on_worklist)
orthanc.RegisterRestCallback("/qafila/door", on_rest)
log("unit.door", "open", version=_SECTION["Version"], python=sys.version.split()[0])
