"""A real Orthanc behind a real gateway, the pages and the viewer, each a process of its own as in ``central run``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from appliance.supervisor import ChildSpec, end_process, spawn
from central.review.access import Role, hash_password
from central.store.accounts import add_account
from central.store.opening import open_database
from tests.gateway.rig import Gateway, make_gateway
from tests.review.live import PASSWORD
from tests.support.orthancs import OrthancHandle
from tests.support.pacs import start_central
from tests.support.ports import free_ports
from tests.support.world import wait_for


@dataclass(frozen=True)
class ViewingCentre:
    """What browsers and units talk to."""

    gateway: Gateway
    orthanc: OrthancHandle
    url: str
    viewer_url: str

    @property
    def audit(self) -> str:
        return self.gateway.config.audit_path.read_text(encoding="utf-8")


def _says(log_file: Path, words: str) -> bool:
    return words in log_file.read_text(encoding="utf-8")


@contextmanager
def running_viewer(folder: Path, orthanc: str, ohif: Path, reader: str) -> Iterator[ViewingCentre]:
    """Everything from the unit's door to OHIF, with one account.

    Args:
        folder: For all files.
        orthanc: Program of the PACS.
        ohif: Where OHIF lies.
        reader: Name of the account; its password is ``tests.review.live.PASSWORD``.
    """
    review_port, viewer_port, listener_port = free_ports(3)
    with ExitStack() as stack:
        pacs = stack.enter_context(start_central(orthanc, folder / "orthanc", listener_port))
        extra = f'[review]\nport = {review_port}\nlanguage = "en"\n[viewer]\nport = {viewer_port}\nfolder = "{ohif}"\n'
        gateway = make_gateway(folder, f"{pacs.url}/dicom-web", extra=extra)
        gateway.start()
        stack.callback(gateway.stop)
        for name in ("review", "viewer"):
            log_file = folder / f"{name}.log"
            argv = [sys.executable, "-m", f"central.{name}", "--config", str(gateway.toml)]
            stack.callback(end_process, spawn(ChildSpec(name, argv, log_file=log_file)), 30.0)
            wait_for(partial(_says, log_file, f"{name} ready"), f"{name}, see {log_file}")
        database = open_database(gateway.config)
        with database.write() as connection:
            hashed = hash_password(PASSWORD, reader)
            add_account(connection, reader, f"Dr {reader}", Role.READER.value, hashed, "2026-11-25T00:00:00Z")
        database.close()
        yield ViewingCentre(gateway, pacs, f"http://localhost:{review_port}", f"http://localhost:{viewer_port}")
