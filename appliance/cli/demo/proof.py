"""The demo's own look at the centre, beside the product's: each file is fetched again and compared with what was sent.

It asks the centre's Orthanc directly, not over the demo's link, and compares with the file that was given, not with the
one that the unit stored.
"""

from __future__ import annotations

import json
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from appliance.cli.demo.modalities import Picture
from appliance.cli.demo.stage import Stage


def unequal_at_centre(stage: Stage, pictures: Sequence[Picture]) -> list[str]:
    """One line for each picture whose data set or pixels at the centre are not what was sent."""
    from sync.adapters.compare import compare

    lines = []
    for picture in pictures:
        with tempfile.NamedTemporaryFile(dir=stage.folder, suffix=".dcm") as copy:
            if not _fetch(stage, picture.sop_instance_uid, Path(copy.name)):
                lines.append(f"{picture.path.name}: the centre does not hold it")
            elif not compare(_as_part10(picture.path, stage.folder), Path(copy.name)).equal:
                lines.append(f"{picture.path.name}: the centre holds another data set or other pixels")
    return lines


def _as_part10(path: Path, folder: Path) -> Path:
    """The file itself, or, for a bare data set (before 1993 there was no file header), a copy with a header."""
    with path.open("rb") as file:
        if file.read(132)[128:] == b"DICM":
            return path
    import pydicom
    from pydicom.uid import ImplicitVRLittleEndian

    picture = pydicom.dcmread(path, force=True)
    picture.file_meta.TransferSyntaxUID = picture.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)
    copy = folder / "as-part10.dcm"
    picture.save_as(copy, enforce_file_format=True)
    return copy


def _fetch(stage: Stage, sop_instance_uid: str, target: Path) -> bool:
    base = f"http://127.0.0.1:{stage.centre_http_port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, whatever the environment says
    query = urllib.request.Request(f"{base}/tools/lookup", data=sop_instance_uid.encode("ascii"), method="POST")
    try:
        with opener.open(query, timeout=30) as answer:
            found = [row["Path"] for row in json.load(answer) if row["Type"] == "Instance"]
        if not found:
            return False
        with opener.open(f"{base}{found[0]}/file", timeout=300) as answer, target.open("wb") as sink:
            while data := answer.read(1 << 20):
                sink.write(data)
    except (urllib.error.URLError, OSError, ValueError):
        return False
    return True
