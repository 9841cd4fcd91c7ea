"""A client that we did not write (tus-js-client in its IETF-draft modes) gets a part across a link that breaks."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.rig import WAIT_S, Gateway, Unit
from tests.support.proxy import Proxy

HERE = Path(__file__).parent
SIZE_BYTES = 700_001

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js on this machine"),
    pytest.mark.skipif(not (HERE / "node_modules").is_dir(), reason="tus-js-client is not here; 'make setup' with npm"),
]


def upload(port: int, unit: Unit, file: Path, protocol: str, chunk_bytes: int) -> dict[str, Any]:
    """Run the client once; what it says of itself."""
    digest = b64encode(hashlib.sha256(file.read_bytes()).digest()).decode("ascii")
    argv = ["node", "upload.mjs", f"http://localhost:{port}/v1/parts", unit.token, str(file), digest, protocol]
    done = subprocess.run(
        [*argv, str(chunk_bytes)], cwd=HERE, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("protocol", ["ietf-draft-03", "ietf-draft-05"])
@pytest.mark.parametrize("chunk_bytes", [200_000, SIZE_BYTES])
def test_public_client_completes_an_interrupted_upload(
    gateway: Gateway, unit: Unit, tmp_path: Path, protocol: str, chunk_bytes: int
) -> None:
    content = random.Random(f"{protocol} {chunk_bytes}").randbytes(SIZE_BYTES)
    file = tmp_path / "part"
    file.write_bytes(content)
    with Proxy(gateway.port) as link:
        link.cut_after_bytes = 300_000
        said = upload(link.port, unit, file, protocol, chunk_bytes)
        cut_count = link.connection_count - 1
    assert "error" not in said, said
    assert cut_count >= 1, "nothing was interrupted"
    assert said["requests"].count("POST") == 1, "it began anew instead of going on"
    assert "HEAD" in said["requests"]
    name = hashlib.sha256(content).hexdigest()
    assert said["url"].endswith(name)
    assert unit.offset(name) == SIZE_BYTES
    assert unit.head(name).headers["Upload-Complete"] == "?1"


def test_public_client_is_told_when_the_whole_is_not_what_it_named(
    gateway: Gateway, unit: Unit, tmp_path: Path
) -> None:
    file = tmp_path / "part"
    file.write_bytes(b"what is sent")
    digest = b64encode(hashlib.sha256(b"what was named").digest()).decode("ascii")
    argv = ["node", "upload.mjs", f"{gateway.url}/v1/parts", unit.token, str(file), digest, "ietf-draft-05", "1000000"]
    done = subprocess.run(argv, cwd=HERE, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 1
    assert "460" in json.loads(done.stdout)["error"]
