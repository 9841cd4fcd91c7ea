"""The list of what is in an image: every package of both kinds, the same every time."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

TOP = Path(__file__).resolve().parents[2]
MANIFEST: dict[str, Any] = {
    "config": {"name": "qafila", "version": "7"},
    "packages": [
        {"type": "deb", "name": "orthanc", "version": "1.12.7+dfsg-4+deb13u1", "architecture": "amd64"},
        {"type": "deb", "name": "cage", "version": "0.2.0-2", "architecture": "amd64"},
    ],
}


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom", TOP / "image" / "sbom.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["sbom"] = module
    spec.loader.exec_module(module)
    return module


def test_every_package_is_listed_once(tmp_path: Path) -> None:
    for name, version in (("pydicom", "3.0.2"), ("httpx", "0.28.1")):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    module = load()
    made = module.sbom(MANIFEST, module.python_packages(tmp_path))
    assert [component["purl"] for component in made["components"]] == [
        "pkg:deb/debian/cage@0.2.0-2?arch=amd64&distro=trixie",
        "pkg:deb/debian/orthanc@1.12.7%2Bdfsg-4%2Bdeb13u1?arch=amd64&distro=trixie",
        "pkg:pypi/httpx@0.28.1",
        "pkg:pypi/pydicom@3.0.2",
    ]


def test_the_same_image_has_the_same_list_and_another_one_another_serial_number() -> None:
    module = load()
    one, two = (json.dumps(module.sbom(MANIFEST, [("a", "1")])) for _ in range(2))
    assert one == two
    assert json.loads(one)["serialNumber"] != module.sbom(MANIFEST, [("a", "2")])["serialNumber"]
