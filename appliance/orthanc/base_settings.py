"""What every Orthanc of ours keeps and never does, on the unit and at the centre; and how its configuration is written.

Each trap of stock Orthanc that both sides share is switched off here. One set serves 1.10.1 and 1.12.7: Orthanc
ignores the options it does not know.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEEPS_EVERYTHING: Mapping[str, Any] = {
    "OverwriteInstances": False,
    "MaximumStorageSize": 0,
    "MaximumPatientCount": 0,
    "MaximumStorageMode": "Reject",
    "StorageCompression": False,
    "StoreDicom": True,
    "StoreMD5ForAttachments": True,
    "IngestTranscodingOfUncompressed": False,
    "IngestTranscodingOfCompressed": False,
    "TranscodeDicomProtocol": False,
    "UserMetadata": {},
    "UserContentType": {},
}
"""Nothing is overwritten, recycled, compressed or recoded."""

REST_DOES_NO_MORE: Mapping[str, Any] = {
    "HttpServerEnabled": True,
    "HttpDescribeErrors": False,
    "HttpVerbose": False,
    "KeepAlive": True,
    "TcpNoDelay": True,
    "RestApiWriteToFileSystemEnabled": False,
    "ExecuteLuaEnabled": False,
    "LuaScripts": [],
    "OrthancExplorerEnabled": False,
    "WebDavEnabled": False,
    "WebDavDeleteAllowed": False,
    "WebDavUploadAllowed": False,
    "OrthancPeers": {},
    "OrthancPeersInDatabase": False,
}
"""No code from outside, no writing elsewhere, no other doors."""

DICOM_FROM_LISTED_PEERS: Mapping[str, Any] = {
    "DicomServerEnabled": True,
    "DicomCheckCalledAet": True,
    "StrictAetComparison": True,
    # A listed device may come from another address than yesterday's (Wi-Fi).
    "DicomCheckModalityHost": False,
    "DicomAlwaysAllowEcho": False,
    "DicomAlwaysAllowStore": False,
    "DicomAlwaysAllowFind": False,
    "DicomAlwaysAllowFindWorklist": False,
    "DicomAlwaysAllowGet": False,
    "DicomAlwaysAllowMove": False,
    "DicomModalitiesInDatabase": False,
    "UnknownSopClassAccepted": True,
    "AcceptedTransferSyntaxes": ["*"],
    "DefaultEncoding": "Latin1",
}
"""Nobody unknown; any object class and every transfer syntax this Orthanc knows, kept as received."""


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file whole, readable by us alone; without a flush, for every start writes it anew.

    Raises:
        OSError: If it cannot be written.
    """
    partial = path.with_name(path.name + ".part")
    partial.unlink(missing_ok=True)
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
    partial.replace(path)
