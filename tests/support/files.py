"""Real DICOM files to test with: pydicom's examples and the shared test images, with what each one is.

``QAFILA_TEST_DATA`` names the folder of the shared images; without it, and without ``../shared/data``, only
pydicom's own examples are used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pydicom.examples

from appliance.dicom.phantom import phantom_chest

_EXAMPLES = (
    "ct",
    "jpeg2k",
    "mr",
    "overlay",
    "palette_color",
    "rgb_color",
    "rt_dose",
    "rt_plan",
    "rt_ss",
    "waveform",
    "ybr_color",
)
_BROKEN = {
    "rtstruct.dcm": "no preamble and no file meta header",
    "cr_chest_no_preamble_acr_nema.dcm": "no preamble and no file meta header",
    "malformed_bad_sequence.dcm": "a sequence whose length is wrong",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One test file; ``broken`` says what is wrong with it, empty for a sound Part 10 file."""

    name: str
    path: Path
    broken: str = ""


_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[3] / "shared" / "data"


def data_dir() -> Path | None:
    """The folder of shared test images, if this machine has it."""
    folder = Path(os.environ.get("QAFILA_TEST_DATA", _BESIDE_THE_REPOSITORY))
    return folder if folder.is_dir() else None


def sample_files(*, broken: bool = False) -> list[Sample]:
    """All sample files; with ``broken`` also those that are not sound Part 10 files."""
    samples = [_sample(name, pydicom.examples.get_path(name)) for name in _EXAMPLES]
    folder = data_dir()
    if folder:
        samples += [_sample(p.stem, p) for p in sorted(folder.glob("*.dcm"))]
    return [s for s in samples if broken or not s.broken]


def _sample(name: str, path: Path) -> Sample:
    return Sample(name, path, _BROKEN.get(path.name, ""))


def small_chest(path: Path, seed: int = 0, *, study_instance_uid: str = "", number: int = 1, rows: int = 96) -> Path:
    """Write a chest phantom of some 15 KB, quick to make and to send; another seed is another study, unless told."""
    dataset = phantom_chest(rows, 80, 12, seed, study_instance_uid=study_instance_uid, instance_number=number)
    dataset.save_as(path, enforce_file_format=True)
    return path
