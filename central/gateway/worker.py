"""The process that meets untrusted parts: one JSON question a line in, one JSON answer a line out.

Its memory, file size and life are bounded, and it may be killed at any moment: a part that breaks a codec costs only
the instance it belongs to. It gives back what it made and what it believes of it; the gateway believes only the digest
that it computes itself. Started by ``workers.WorkerPool`` only.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from appliance.dicom.header_worker import read_header
from sync.wire.errors import WireError
from sync.wire.headers import unpack
from sync.wire.limits import WireLimits
from sync.wire.rebuild import rebuild

_PR_SET_PDEATHSIG = 1
_LIMITS = WireLimits()
IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "TransferSyntaxUID")


class Worker:
    """Answers questions; keeps the last header part unpacked, for the files of a series come one after the other."""

    def __init__(self) -> None:
        self._header = ""
        self._skeletons: dict[str, bytes] = {}

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to one question; any failure becomes ``{"error": [code, reason]}``."""
        try:
            skeletons = self._unpacked(str(question["header"]), Path(question["header_path"]))
            if question["do"] == "unpack":
                return {"files": sorted(skeletons)}
            return self._rebuild(skeletons, question)
        except WireError as error:
            return {"error": ["wire", str(error)]}
        except OSError as error:
            return {"error": ["os", os.strerror(error.errno or 0)]}
        except MemoryError:
            return {"error": ["memory", "more memory than is allowed"]}
        except Exception as error:
            # The text of a parser's error may quote values of the data set: only its type goes out.
            return {"error": ["fault", type(error).__name__]}

    def _unpacked(self, header: str, path: Path) -> dict[str, bytes]:
        if header != self._header:
            self._header, self._skeletons = "", {}
            self._skeletons = unpack(path.read_bytes(), _LIMITS)
            self._header = header
        return self._skeletons

    def _rebuild(self, skeletons: dict[str, bytes], question: dict[str, Any]) -> dict[str, Any]:
        skeleton = skeletons.get(str(question["file"]))
        if skeleton is None:
            raise WireError("the header part does not hold this file")
        out = Path(question["out_path"])
        pixels_path = question["pixels_path"]
        with out.open("wb") as file:
            if pixels_path is None:
                digest = rebuild(skeleton, None, file, _LIMITS)
            else:
                with Path(pixels_path).open("rb") as pixels:
                    digest = rebuild(skeleton, pixels, file, _LIMITS)
        return {"sha256": digest, "identity": _identity(out)}


def _identity(path: Path) -> dict[str, str]:
    """The UIDs that the file itself names; nothing when they cannot be read, for then the PACS decides."""
    try:
        with path.open("rb") as file:
            values = read_header(file, os.fstat(file.fileno()).st_size)
    except Exception:
        return {}
    return {keyword: values[keyword] for keyword in IDENTITY}


def _bound(memory_bytes_max: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMITS.file_bytes_max, _LIMITS.file_bytes_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main(memory_bytes_max: int) -> None:
    """Answer until standard input closes."""
    _bound(memory_bytes_max)
    warnings.simplefilter("ignore")
    from pydicom import config

    config.settings.reading_validation_mode = config.IGNORE
    worker = Worker()
    sys.stdout.buffer.write(b'{"ready":true}\n')
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(json.dumps(worker.answer(json.loads(line))).encode("ascii") + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
