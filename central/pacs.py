"""The embedded PACS's configuration, rendered from ours: an Orthanc that keeps what it is given and overwrites nothing.

Pure but for reading the password and writing the file. Options mean the same on Orthanc 1.10.1 and 1.12.7.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from appliance.config import ConfigError
from central.config import CentralConfig, PeerTable


def credentials(config: CentralConfig) -> tuple[str, str] | None:
    """User name and password of the HTTP side, or ``None`` when it has no login.

    Raises:
        ConfigError: If the password file cannot be read or is empty.
    """
    if not config.pacs.username:
        return None
    path = Path(config.pacs.password_file)
    try:
        password = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the password (pacs.password_file) cannot be read: {error}") from error
    if not password:
        raise ConfigError(f"{path}: the password (pacs.password_file) is empty")
    return config.pacs.username, password


def render(config: CentralConfig, login: tuple[str, str] | None) -> dict[str, Any]:
    """Orthanc's options for this centre."""
    pacs = config.pacs
    storage = str(config.data_dir / "orthanc")
    return {
        "Name": config.centre.name,
        "StorageDirectory": storage,
        "IndexDirectory": storage,
        "Plugins": [pacs.dicomweb_plugin],
        # HTTP: DICOMweb only, nothing that runs code or writes elsewhere
        "HttpServerEnabled": True,
        "HttpPort": pacs.http_port,
        "RemoteAccessAllowed": pacs.remote_access,
        "AuthenticationEnabled": login is not None,
        "RegisteredUsers": dict([login]) if login else {},
        "OrthancExplorerEnabled": False,
        "WebDavEnabled": False,
        "LuaScripts": [],
        "ExecuteLuaEnabled": False,
        "RestApiWriteToFileSystemEnabled": False,
        "DicomWeb": {
            "Enable": True,
            "Root": "/dicom-web/",
            "EnableWado": False,
            # Read-back compares what was stored, so answers must come from the files and not from a cache of some tags.
            "StudiesMetadata": "Full",
            "SeriesMetadata": "Full",
        },
        # DICOM: listed peers, every storage class, every transfer syntax, stored as received
        "DicomServerEnabled": True,
        "DicomAet": pacs.ae_title,
        "DicomPort": pacs.dicom_port,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": False,
        "DicomModalities": {peer.ae_title: _modality(peer) for peer in config.peer},
        "DicomModalitiesInDatabase": False,
        "DicomCheckModalityHost": False,
        "UnknownSopClassAccepted": True,
        "AcceptedTransferSyntaxes": ["1.2.840.10008.1.*"],
        # Storage: no overwriting, no recycling, no other coding
        "OverwriteInstances": False,
        "MaximumStorageSize": 0,
        "MaximumPatientCount": 0,
        "StorageCompression": False,
        "StoreMD5ForAttachments": True,
    }


def _modality(peer: PeerTable) -> dict[str, Any]:
    return {
        "AET": peer.ae_title,
        "Host": peer.host,
        "Port": peer.port,
        "AllowEcho": True,
        "AllowStore": True,
        "AllowFind": True,
        "AllowMove": True,
        "AllowStorageCommitment": True,
    }


def write(config: CentralConfig, login: tuple[str, str] | None) -> Path:
    """Write Orthanc's configuration, readable by us alone (it holds the password), and return its path."""
    path = config.data_dir / "orthanc.json"
    partial = path.with_suffix(".json.new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(render(config, login), file, indent=2)
    partial.replace(path)
    return path
