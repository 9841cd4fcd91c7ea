"""A unit imports only what its kinds of destinations need: memory on a small computer."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from pathlib import Path
from appliance.clock import SystemClock
from appliance.config import DicomwebDestination, DimseDestination
from appliance.domain.limits import LimitSet
from sync.adapters.build import build
tables = {{
    "dicomweb": DicomwebDestination(name="a", url="http://127.0.0.1/dicom-web"),
    "dimse": DimseDestination(name="a", host="127.0.0.1", port=104, called_ae_title="A"),
}}
build(tables["{kind}"], LimitSet(), SystemClock(), Path(sys.argv[1]))
print(*sorted({{name.split(".")[0] for name in sys.modules}} & {{"httpx", "pynetdicom", "pydicom", "numpy"}}))
"""


@pytest.mark.parametrize(("kind", "unwanted"), [("dicomweb", {"pynetdicom", "pydicom", "numpy"}), ("dimse", {"httpx"})])
def test_a_unit_with_one_kind_of_destination_does_not_import_the_other(
    kind: str, unwanted: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("work")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(kind=kind), str(folder)], capture_output=True, text=True, check=True
    )
    assert not unwanted & set(done.stdout.split())
