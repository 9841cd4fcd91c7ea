"""Writes the CycloneDX list of what is in an image: Debian packages from mkosi's manifest, Python ones as installed.

usage: sbom.py MANIFEST SITE OUTPUT     (SITE: the folder with the Python packages; standard library only)
"""

from __future__ import annotations

import json
import sys
import uuid
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote


def python_packages(site: Path) -> list[tuple[str, str]]:
    """Name and version of every distribution below ``site``."""
    return sorted((each.metadata["Name"], each.version) for each in distributions(path=[str(site)]))


def components(manifest: dict[str, Any], python: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """One component a package, in the order of their package URLs."""
    found = []
    for package in manifest["packages"]:
        name, version, architecture = package["name"], package["version"], package.get("architecture", "all")
        found.append((name, version, f"pkg:deb/debian/{name}@{quote(version)}?arch={architecture}&distro=trixie"))
    for name, version in python:
        found.append((name, version, f"pkg:pypi/{name.lower().replace('_', '-')}@{quote(version)}"))
    return [
        {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        for name, version, purl in sorted(found, key=lambda each: each[2])
    ]


def sbom(manifest: dict[str, Any], python: list[tuple[str, str]]) -> dict[str, Any]:
    """A CycloneDX 1.6 document; the same input gives the same bytes."""
    config = manifest["config"]
    name, version = config["name"], str(config.get("version", ""))
    listed = components(manifest, python)
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([name, version, listed]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {"type": "operating-system", "name": name, "version": version}},
        "components": listed,
    }


if __name__ == "__main__":
    source, site, target = (Path(argument) for argument in sys.argv[1:])
    made = sbom(json.loads(source.read_text(encoding="utf-8")), python_packages(site))
    target.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
