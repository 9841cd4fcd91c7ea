"""Only the pinned package is unpacked, and only what is served of it."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from central.viewer.fetch import FetchError, unpack


def package(path: Path, names: list[str]) -> str:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def test_package_is_trimmed_and_never_leaves_its_folder(tmp_path: Path) -> None:
    names = ["index.html", "assets/a.png", "ort/ort.js", "app-config.js", "sw.js", "../../out", "a.js.map"]
    digest = package(tmp_path / "p.tgz", [f"package/dist/{name}" for name in names] + ["package/LICENSE"])
    unpack(tmp_path / "p.tgz", tmp_path / "dist", digest)
    kept = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert kept == ["dist/assets/a.png", "dist/index.html", "p.tgz"]


def test_package_with_another_digest_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    digest = package(tmp_path / "p.tgz", ["package/dist/index.html"])
    package(tmp_path / "p.tgz", ["package/dist/index.html", "package/dist/more.js"])
    with pytest.raises(FetchError, match="digest"):
        unpack(tmp_path / "p.tgz", tmp_path / "dist", digest)
    assert not (tmp_path / "dist").exists()
