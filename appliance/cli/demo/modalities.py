"""The demo's modalities: dcmtk's ``storescu`` and ``dcmsend``, calling as real devices would, and what they send."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SEND_S_MAX = 1800
BATCH_COUNT = 50


@dataclass(frozen=True, slots=True)
class Picture:
    """One file a modality can try to send."""

    path: Path
    sop_instance_uid: str
    modality: str


@dataclass(frozen=True, slots=True)
class Unsendable:
    """One file that no modality could send, with the reason in words."""

    path: Path
    sentence: str


def look_at(paths: Sequence[Path]) -> tuple[list[Picture], list[Unsendable]]:
    """Sort what was given into pictures and the rest; folders are searched, nothing is changed."""
    pictures: list[Picture] = []
    unsendable: list[Unsendable] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
            if not inside:
                unsendable.append(Unsendable(path, "the folder holds no file"))
            found, rest = look_at(inside)
            pictures += found
            # Beside pictures a folder may well hold notes; only what claims to be DICOM and is not is worth a word.
            unsendable += [r for r in rest if not found or r.path.suffix.lower() in (".dcm", ".dicom", "")]
            continue
        look = _look_at_file(path)
        if isinstance(look, Picture):
            pictures.append(look)
        else:
            unsendable.append(look)
    return pictures, unsendable


def send(pictures: Sequence[Picture], called_ae_title: str, port: int) -> None:
    """Send over real associations; what did not arrive is found out by asking the unit, not by trusting the sender.

    ``dcmsend`` because it proposes each file's own transfer syntax and sends the data set as it is.
    """
    for ae_title in ("XRAY", "SONO"):
        group = [p.path for p in pictures if _calling_ae_title(p) == ae_title]
        for start in range(0, len(group), BATCH_COUNT):
            _dcmsend(group[start : start + BATCH_COUNT], ae_title, called_ae_title, port)


def send_one(picture: Picture, called_ae_title: str, port: int) -> str:
    """Send one file again and return the sender's last words about it."""
    said = _dcmsend([picture.path], _calling_ae_title(picture), called_ae_title, port)
    lines = [line for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("E:", "F:", "W:")) or "Response" in line]
    return (telling or lines or ["the sender said nothing"])[-1].partition(": ")[2] or lines[-1]


def store_one(picture: Picture, called_ae_title: str, port: int) -> None:
    """One uncompressed object with ``storescu``, the way a simple device does it."""
    titles = ["-aet", _calling_ae_title(picture), "-aec", called_ae_title]
    _run(["storescu", "-R", *titles, "127.0.0.1", str(port), str(picture.path)])


def _calling_ae_title(picture: Picture) -> str:
    return "XRAY" if picture.modality in ("CR", "DX", "MG", "RF", "XA") else "SONO"


def _look_at_file(path: Path) -> Picture | Unsendable:
    try:
        if path.stat().st_size == 0:
            return Unsendable(path, "is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values are for the unit to judge, not for the demo to print
            return _identify(path)
    except FileNotFoundError:
        return Unsendable(path, "is not there")
    except OSError as error:
        return Unsendable(path, f"cannot be read: {error.strerror or error}")
    except Exception as error:  # whatever a broken file makes the parser raise, the person gets a sentence
        return Unsendable(path, f"is a broken DICOM file: {error}")


def _identify(path: Path) -> Picture | Unsendable:
    import pydicom

    header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    missing = [key for key in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID") if not header.get(key)]
    if len(missing) == 3:
        return Unsendable(path, "is not a DICOM file")
    if missing:
        return Unsendable(path, f"names no {missing[0]}, so no device could send it")
    return Picture(path, str(header.SOPInstanceUID), str(header.get("Modality", "OT")))


def _dcmsend(paths: Sequence[Path], calling_ae_title: str, called_ae_title: str, port: int) -> str:
    options = ["-v", "-nuc", "-nh", "+f", "-dn", "-aet", calling_ae_title, "-aec", called_ae_title]
    return _run(["dcmsend", *options, "127.0.0.1", str(port), *map(str, paths)])


def _run(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=SEND_S_MAX)
    return (done.stdout + done.stderr).decode("utf-8", "replace")
