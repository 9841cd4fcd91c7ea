"""``python -m central.viewer.fetch FOLDER``: OHIF as npm has it, pinned by hash, trimmed to what we serve.

The npm client is used as this machine has it configured. Nothing of the package is run, and nothing is used whose
SHA-512 is not the one below. A folder is there whole or not at all.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

VERSION = "3.13.2"
INTEGRITY_SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
"""Of the packed ``@ohif/app``, as ``npm pack --json`` gives it."""
LEFT_OUT = ("ort/", "dicom-microscopy-viewer/", "customizations/", "app-config.js", "google.js", "oidc-client.min.js")
"""Segmentation models, slide microscopy, other people's configurations and sign-in: 156 MB of 204 MB."""
LEFT_OUT_ENDS = (".map", "sw.js", "init-service-worker.js", "_headers", "_redirects", "serve.json")
NPM_S_MAX = 600


class FetchError(Exception):
    """OHIF could not be fetched; nothing was changed."""


def fetch(folder: Path) -> bool:
    """Put OHIF into ``folder``; ``False`` when it is there already.

    Raises:
        FetchError: If npm is not here or gives nothing, or something else than was pinned.
    """
    if folder.exists():
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".ohif-") as name:
        work = Path(name)
        packed = pack(f"@ohif/app@{VERSION}", work)
        unpack(packed, work / "dist", INTEGRITY_SHA512)
        (work / "dist").replace(folder)
    return True


def pack(package: str, work: Path) -> Path:
    """A package with its version, as npm gives it, in an empty folder.

    Raises:
        FetchError: If npm is not here or gives nothing.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError(f"npm is not installed, so {package} cannot be fetched")
    command = [npm, "pack", package, "--ignore-scripts", "--silent"]
    done = subprocess.run(command, cwd=work, capture_output=True, check=False, timeout=NPM_S_MAX)
    found = list(work.glob("*.tgz"))
    if done.returncode != 0 or len(found) != 1:
        raise FetchError(f"npm gave no package (exit code {done.returncode}); is there a way to a registry?")
    return found[0]


def unpack(packed: Path, into: Path, integrity_sha512: str) -> None:
    """Write what is served of a package into ``into``.

    Raises:
        FetchError: If it has another digest; nothing was written then.
    """
    check(packed, integrity_sha512)
    into.mkdir()
    with tarfile.open(packed, "r:gz") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if not member.isfile() or path.parts[:2] != ("package", "dist") or ".." in path.parts:
                continue
            inside = "/".join(path.parts[2:])
            if inside.startswith(LEFT_OUT) or inside.endswith(LEFT_OUT_ENDS):
                continue
            source = archive.extractfile(member)
            assert source is not None
            target = into / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            with source, target.open("wb") as out:
                shutil.copyfileobj(source, out)


def check(packed: Path, integrity_sha512: str) -> None:
    """Refuse what was not pinned.

    Raises:
        FetchError: If it has another digest.
    """
    with packed.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    if base64.b64encode(digest).decode("ascii") != integrity_sha512:
        raise FetchError("the package has not the digest that is pinned; it was thrown away")


def main(arguments: list[str]) -> int:
    """Exit code 0 when it is there, 3 with a sentence when not."""
    folder = Path(arguments[0])
    try:
        made = fetch(folder)
    except (FetchError, OSError, subprocess.SubprocessError, tarfile.TarError) as error:
        print(f"OHIF: {error}. Previews and reports work without it.", file=sys.stderr)  # noqa: T201 - for a person
        return 3
    print(f"OHIF {VERSION} {'is now' if made else 'was already'} in {folder}")  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
