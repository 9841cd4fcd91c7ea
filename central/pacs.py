"""The embedded PACS's configuration, rendered from ours: an Orthanc that keeps what it is given and overwrites nothing.

Pure but for reading the password and writing the file. Options mean the same on Orthanc 1.10.1 and 1.12.7.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.config import ConfigError
from appliance.orthanc.base_settings import DICOM_FROM_LISTED_PEERS, KEEPS_EVERYTHING, REST_DOES_NO_MORE, write_private
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
        **KEEPS_EVERYTHING,
        **REST_DOES_NO_MORE,
        **DICOM_FROM_LISTED_PEERS,
        "Name": config.centre.name,
        "StorageDirectory": storage,
        "IndexDirectory": storage,
        "Plugins": [pacs.dicomweb_plugin],
        "HttpPort": pacs.http_port,
        "RemoteAccessAllowed": pacs.remote_access,
        "AuthenticationEnabled": login is not None,
        "RegisteredUsers": dict([login]) if login else {},
        "DicomWeb": {
            "Enable": True,
            "Root": "/dicom-web/",
            "EnableWado": False,
            # Read-back compares what was stored, so answers must come from the files and not from a cache of some tags.
            "StudiesMetadata": "Full",
            "SeriesMetadata": "Full",
        },
        "DicomAet": pacs.ae_title,
        "DicomPort": pacs.dicom_port,
        "DicomModalities": {peer.ae_title: _modality(peer) for peer in config.peer},
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
    write_private(path, render(config, login))
    return path
