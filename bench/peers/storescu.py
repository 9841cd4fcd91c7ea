"""dcmtk's ``storescu``: as it comes, with losslessly transcoded copies, and tuned by hand."""

from __future__ import annotations

import subprocess
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.uid import JPEG2000Lossless

from bench.link import Link
from bench.link.emulator import CENTRE_ADDRESS
from bench.link.namespaces import Namespace
from bench.peers.contender import Peer
from bench.peers.orthanc import DICOM_PORT
from bench.peers.payloads import Payload

PAUSE_S = 1.0
"""Between two tries of a simple retry loop."""
TUNED_PAUSE_S = 0.2
TUNED_S = {"-to": 5, "-ta": 10, "-ts": 8, "-td": 15}
"""Seconds to connect, for association messages, for a socket that takes nothing, and for an answer, on 1 Mbit/s; longer
on slower links: shorter ones give up connections that only wait for what is still queued on the way."""
_PROPOSALS = {"raw": (), "jls": ("-xt",), "j2k": ("-xv",)}
_TRANSCODING = threading.Lock()
_LOSSY_AS_IT_IS = {"1.2.840.10008.1.2.4.50": ("-xy",), "1.2.840.10008.1.2.4.51": ("-xx",)}
"""Options that propose the transfer syntax of a file that is JPEG already; it travels as it is."""


class Storescu(Peer):
    """A retry loop around ``storescu``.

    Args:
        coding: ``raw``, ``jls`` (JPEG-LS) or ``j2k`` (JPEG 2000), lossless.
        tuned: Short time-outs, and one association a file, so that what has arrived is not sent again; else dcmtk's
            time-outs and all files in one association until that succeeds.
    """

    def __init__(self, congestion: str, orthanc: str, *, coding: str, tuned: bool) -> None:
        name = f"storescu {'as received' if coding == 'raw' else coding}{', tuned' if tuned else ''}"
        super().__init__(name, congestion, orthanc)
        self._coding = coding
        self._tuned = tuned
        self._tuned_options: list[str] = []
        self._files: list[Path] = []
        self._unit: Namespace | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.try_count = 0

    def prepare(self, link: Link, payload: Payload, folder: Path) -> None:
        super().prepare(link, payload, folder)
        self._unit = link.unit
        slowness = max(1.0, 1e6 / link.spec.up.rate_bps)
        self._tuned_options = [word for option, s in TUNED_S.items() for word in (option, str(round(s * slowness)))]
        self._files = [transcoded(path, self._coding) for path in payload.paths]

    def send_until_done(self) -> None:
        if self._tuned:
            for file in self._files:
                self._send([file], self._tuned_options, TUNED_PAUSE_S)
        else:
            for _, group in groups_of(self._files):
                self._send(group, (), PAUSE_S)

    def kill_unit(self) -> None:
        """The loop starts the next one at once."""
        self.end_sender()

    def end_sender(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _send(self, files: Sequence[Path], options: Sequence[str], pause_s: float) -> None:
        assert self._unit is not None, "prepare() comes first"
        titles = ("-R", "-aet", "UNIT", "-aec", "CENTRAL", *options, *self._proposal(files[0]))
        argv = self._unit.command("storescu", *titles, CENTRE_ADDRESS, str(DICOM_PORT), *map(str, files))
        while not self._stop.is_set():
            self.try_count += 1
            self._process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self._stop.is_set():
                self._process.kill()
            code = self._process.wait()
            if code == 0:
                return
            if code > 0:  # a killed one is started again at once
                self._stop.wait(pause_s)

    def _proposal(self, file: Path) -> Sequence[str]:
        return _LOSSY_AS_IT_IS.get(_transfer_syntax(file), _PROPOSALS[self._coding])


def transcoded(path: Path, coding: str) -> Path:
    """A lossless copy beside the file, made once; the file itself for ``raw`` and for what is compressed already.

    Raises:
        OSError: If the codec refuses.
    """
    copy = path.with_suffix(f".{coding}.dcm")
    if coding == "raw" or _transfer_syntax(path) in _LOSSY_AS_IT_IS:
        return path
    with _TRANSCODING:
        if not copy.exists():
            _transcode(path, copy, coding)
    return copy


def _transcode(path: Path, copy: Path, coding: str) -> None:
    part = copy.with_suffix(".part")
    if coding == "jls":
        done = subprocess.run(["dcmcjpls", str(path), str(part)], check=False, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"dcmcjpls {path}: {done.stderr}")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values in real headers are not this bench's business
            dataset = pydicom.dcmread(path)
            dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
            dataset.save_as(part, enforce_file_format=True)
    part.replace(copy)


def groups_of(files: Sequence[Path]) -> list[tuple[Sequence[str], list[Path]]]:
    """Files apart that need different options: ``storescu`` proposes one compressed syntax an association."""
    groups: dict[Sequence[str], list[Path]] = {}
    for file in files:
        groups.setdefault(_LOSSY_AS_IT_IS.get(_transfer_syntax(file), ()), []).append(file)
    return list(groups.items())


def _transfer_syntax(path: Path) -> str:
    return str(pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID)
