"""``rsync --partial --append-verify`` in a loop, to a daemon at the centre: resumes inside a file, feeds no PACS."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from bench.link import Link
from bench.link.emulator import CENTRE_ADDRESS
from bench.link.namespaces import Namespace
from bench.peers.contender import Contender
from bench.peers.payloads import Item, Payload

PORT = 8730
PAUSE_S = 0.2
TIMEOUTS = ("--timeout=10", "--contimeout=5")
"""Without them a flow that a NAT forgot hangs until TCP gives up, a quarter of an hour later."""


class Rsync(Contender):
    """Counts an object as arrived when the centre has a file of its name with its SHA-256."""

    def __init__(self, congestion: str) -> None:
        self.name = "rsync loop"
        self.congestion = congestion
        self._folder = Path()
        self._payload: Payload | None = None
        self._whole: set[str] = set()
        self._link: Link | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self._client: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._loop: threading.Thread | None = None

    def prepare(self, link: Link, payload: Payload, folder: Path) -> None:
        self._folder, self._payload, self._link = folder, payload, link
        (folder / "in").mkdir(parents=True)
        (folder / "rsyncd.conf").write_text(
            f"use chroot = no\nlog file = {folder}/rsyncd.log\nuid = 0\ngid = 0\n"
            f"[in]\npath = {folder}/in\nread only = no\n",
            encoding="utf-8",
        )
        self._start_daemon(link.centre)

    def begin(self) -> None:
        self._loop = threading.Thread(target=self._send_until_done, name=self.name, daemon=True)
        self._loop.start()

    def arrived(self) -> set[str]:
        self._whole |= {item.sop_instance_uid for item in self._items() if self._is_whole(item)}
        return self._whole

    def kill_unit(self) -> None:
        if self._client is not None:
            self._client.kill()

    def kill_centre(self) -> None:
        assert self._link is not None, "prepare() comes first"
        self._end_daemon()
        self._start_daemon(self._link.centre)

    def equal(self) -> bool:
        return all(_sha256(self._folder / "in" / item.path.name) == _sha256(item.path) for item in self._items())

    def close(self) -> None:
        self._stop.set()
        self.kill_unit()
        if self._loop is not None:
            self._loop.join(60.0)
        self._end_daemon()
        shutil.rmtree(self._folder / "in", ignore_errors=True)

    def _items(self) -> tuple[Item, ...]:
        assert self._payload is not None, "prepare() comes first"
        return self._payload.items

    def _is_whole(self, item: Item) -> bool:
        if item.sop_instance_uid in self._whole:
            return True
        there = self._folder / "in" / item.path.name
        return there.exists() and there.stat().st_size == item.size_bytes and _sha256(there) == _sha256(item.path)

    def _send_until_done(self) -> None:
        assert self._link is not None
        files = [str(item.path) for item in self._items()]
        options = ("--partial", "--append-verify", *TIMEOUTS, *files, f"rsync://{CENTRE_ADDRESS}:{PORT}/in/")
        argv = self._link.unit.command("rsync", *options)
        while not self._stop.is_set():
            self._client = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self._stop.is_set():
                self._client.kill()
            if self._client.wait() == 0:
                return
            self._stop.wait(PAUSE_S)

    def _start_daemon(self, centre: Namespace) -> None:
        options = ("--daemon", "--no-detach", f"--port={PORT}", f"--config={self._folder}/rsyncd.conf")
        self._daemon = subprocess.Popen(
            centre.command("rsync", *options),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # it makes a process a connection; they end together
        )

    def _end_daemon(self) -> None:
        if self._daemon is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._daemon.pid, signal.SIGKILL)
            self._daemon.wait()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
