"""``dciodvfy``'s complaints of a file, and those that ``docs/reference/conformance-checks.md`` explains."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "conformance-checks.md"
_ROW = re.compile(r"^\| `((?:Error|Warning) - [^`]*)` \|", re.MULTILINE)


def dciodvfy(part10: bytes, folder: Path) -> set[str]:
    """Every error and warning, as it is worded."""
    path = folder / "looked-at.dcm"
    path.write_bytes(part10)
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, timeout=60, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    return {line.strip() for line in said.splitlines() if line.startswith(("Error", "Warning"))}


def explained() -> set[str]:
    """The complaints of the page's tables."""
    return set(_ROW.findall(PAGE.read_text(encoding="utf-8")))
