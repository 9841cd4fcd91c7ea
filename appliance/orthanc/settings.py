"""Orthanc's configuration, rendered from ours at every start; nobody edits it by hand.

Every trap of the fault list is switched off, here or in ``base_settings`` (what both sides share).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from appliance.config import UnitConfig
from appliance.orthanc.base_settings import DICOM_FROM_LISTED_PEERS, KEEPS_EVERYTHING, REST_DOES_NO_MORE, write_private
from appliance.orthanc.worklist import ORTHANC_ENCODING

ACCESS_FILE = "orthanc.json"
"""In ``run_dir``: how our own processes reach Orthanc's REST API."""

_DICOM_THREAD_COUNT_MIN = 4


@dataclass(frozen=True, slots=True)
class OrthancAccess:
    """Where Orthanc's REST API is and who may use it; the password lives as long as one start of Orthanc."""

    url: str
    username: str
    password: str


def new_access(config: UnitConfig) -> OrthancAccess:
    """A fresh random password for one start."""
    return OrthancAccess(f"http://127.0.0.1:{config.orthanc.http_port}", "qafila", secrets.token_urlsafe(32))


def render(config: UnitConfig, access: OrthancAccess) -> dict[str, Any]:
    """The whole of Orthanc's configuration for a unit."""
    return {
        "Name": config.unit.name,
        **_storage(config),
        **_rest(config, access),
        **_dicom(config),
        "Plugins": [config.orthanc.python_plugin],
        "PythonScript": str(Path(__file__).resolve().with_name("plugin.py")),
        "PythonVerbose": False,
        "Qafila": _door(config),
        "ConcurrentJobs": 2,
        "SaveJobs": False,
        "DeidentifyLogs": True,
        "LogExportedResources": False,
        "MetricsEnabled": False,
    }


def _storage(config: UnitConfig) -> dict[str, Any]:
    """Only our purge deletes."""
    return {
        **KEEPS_EVERYTHING,
        "StorageDirectory": str(config.orthanc_dir),
        "IndexDirectory": str(config.orthanc_dir),
    }


def _rest(config: UnitConfig, access: OrthancAccess) -> dict[str, Any]:
    """REST for our own processes on this machine only."""
    return {
        **REST_DOES_NO_MORE,
        "HttpPort": config.orthanc.http_port,
        "HttpThreadsCount": 16,
        "HttpCompressionEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {access.username: access.password},
    }


def _dicom(config: UnitConfig) -> dict[str, Any]:
    """C-STORE and worklist queries from listed devices."""
    return {
        **DICOM_FROM_LISTED_PEERS,
        "DefaultEncoding": ORTHANC_ENCODING,
        "DicomAet": config.dicom.ae_title,
        "DicomPort": config.orthanc.dicom_port,
        "DicomModalities": _modalities(config),
        "DicomScpTimeout": round(config.limits.idle_s_max),
        "DicomThreadsCount": max(_DICOM_THREAD_COUNT_MIN, config.limits.connection_count_max),
        "MaximumPduLength": config.limits.pdu_bytes_max,
        "StableAge": 60,
    }


def _modalities(config: UnitConfig) -> dict[str, dict[str, Any]]:
    """The listed devices and our own import may echo and store, the devices also ask for their worklist.

    The gatekeeper relays, so no address or port of theirs matters here.
    """
    devices = [modality.ae_title for modality in config.modality]
    titles = dict.fromkeys([*devices, config.imports.ae_title])
    return {
        f"modality{number}": {
            "AET": title,
            "Host": "127.0.0.1",
            "Port": 104,
            "AllowEcho": True,
            "AllowStore": True,
            "AllowFind": False,
            "AllowFindWorklist": title in devices,
            "AllowGet": False,
            "AllowMove": False,
            "AllowStorageCommitment": False,
            "AllowTranscoding": False,
        }
        for number, title in enumerate(titles)
    }


def _door(config: UnitConfig) -> dict[str, Any]:
    """What ``plugin.py`` reads; it cannot import our configuration (Orthanc's Python has the standard library only)."""
    return {
        "Version": version("qafila"),
        "DoorDatabase": str(config.door_db),
        "BlobDirectory": str(config.blob_dir),
        "QuarantineDirectory": str(config.quarantine_dir),
        "AttachmentDirectory": str(config.orthanc_dir / "attachments"),
        "IndexLog": str(config.orthanc_dir / "index-wal"),
        "FreeBytesFloor": config.limits.free_bytes_floor,
        "FreeInodeFloor": config.limits.free_inode_floor,
        "ObjectBytesMax": config.limits.object_bytes_max,
        "ObjectShareOfFreeSpaceMax": config.limits.object_share_of_free_space_max,
        "QuarantineFileCountMax": config.limits.quarantine_file_count_max,
        "UnitDatabase": str(config.unit_db),
        "CharacterSets": {modality.ae_title.strip(" "): modality.character_set for modality in config.modality},
        "WorklistAnswerCountMax": config.limits.worklist_answer_count_max,
        "WorklistQueryBytesMax": config.limits.worklist_query_bytes_max,
        "WorklistBusySecondsMax": config.limits.worklist_busy_s_max,
    }


def write(config: UnitConfig) -> Path:
    """Write Orthanc's configuration and, for our own processes, the way to its REST API; both readable by us alone.

    Each call makes a new password, so it comes just before each start.

    Returns:
        The path of Orthanc's configuration file, the argument of its command.

    Raises:
        OSError: If a folder or file cannot be written.
    """
    access = new_access(config)
    for folder in (config.orthanc_dir, config.run_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = config.orthanc_dir / "orthanc.json"
    write_private(path, render(config, access))
    write_private(
        config.run_dir / ACCESS_FILE,
        {"url": access.url, "username": access.username, "password": access.password},
    )
    return path


def read_access(run_dir: Path) -> OrthancAccess:
    """How to reach the Orthanc that runs now.

    Raises:
        OSError: If none was started in this data folder.
    """
    facts = json.loads((run_dir / ACCESS_FILE).read_text(encoding="utf-8"))
    return OrthancAccess(str(facts["url"]), str(facts["username"]), str(facts["password"]))
