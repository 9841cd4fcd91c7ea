"""Trains the dictionary of header parts: ``python -m bench.header_dictionary FILE``.

Maintainers run it when a new dictionary is worth a release; the old file stays in the package beside the new one. What
it learns from is made here: headers of radiographs, ultrasound and others as consoles write them, with values drawn
from what such consoles send, the phantom, and the files that come with pydicom. The same versions give the same bytes.
"""

from __future__ import annotations

import io
import random
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom.data
import zstandard

from appliance.dicom.phantom import phantom_chest
from bench.header_samples import made_headers
from sync.wire.limits import WireLimits
from sync.wire.skeleton import make_skeleton
from sync.wire.walk import walk

DICTIONARY_BYTES = 64 * 1024
"""110 KiB made headers of real files another 1 % smaller (measured); whoever packs or unpacks holds it in memory."""
PHANTOM_COUNT = 12
SAMPLE_BYTES_MAX = 16 * 1024


def skeleton_of(data: bytes) -> bytes:
    """As ``encode`` makes it."""
    limits = WireLimits()
    file = io.BytesIO(data)
    return make_skeleton(file, walk(file, len(data), limits).holes, len(data))


def _shipped() -> Iterator[bytes]:
    """Headers of the files in pydicom's own package; those that it would have to download are left out."""
    place = Path(pydicom.data.__file__).parent / "test_files"
    for path in sorted(place.glob("*.dcm")):
        skeleton = skeleton_of(path.read_bytes())
        if len(skeleton) <= SAMPLE_BYTES_MAX:
            yield skeleton


def _phantoms() -> Iterator[bytes]:
    for seed in range(PHANTOM_COUNT):
        file = io.BytesIO()
        phantom_chest(96, 80, seed=seed).save_as(file, enforce_file_format=True)
        yield skeleton_of(file.getvalue())


def train() -> bytes:
    """The dictionary."""
    samples: list[bytes | bytearray | memoryview] = list(_shipped())
    samples += list(_phantoms())
    samples += [skeleton_of(header) for header in made_headers(random.Random(1))]
    trained = zstandard.train_dictionary(DICTIONARY_BYTES, samples, level=19, dict_id=0x51464831, threads=0)
    return trained.as_bytes()


def main() -> int:
    """Train and write."""
    warnings.simplefilter("ignore")
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    Path(sys.argv[1]).write_bytes(train())
    return 0


if __name__ == "__main__":
    sys.exit(main())
