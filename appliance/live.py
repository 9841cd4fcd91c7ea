"""What a running process says of itself this second: small JSON files in ``run/``, replaced whole, never the truth.

They are written without fsync (a power cut makes them meaningless anyway) and carry boot and monotonic second, so that
a reader knows a stale one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from appliance.clock import Clock

STALE_S = 10.0


def write_live(run_dir: Path, name: str, facts: dict[str, Any], clock: Clock) -> None:
    """Replace ``run/<name>.live.json``; a full or broken disk is ignored, for these facts are only hints."""
    body = {"boot_id": clock.boot_id(), "mono_s": clock.mono_s(), "pid": os.getpid(), **facts}
    partial = run_dir / f".{name}.live.{os.getpid()}"
    try:
        partial.write_text(json.dumps(body), encoding="utf-8")
        partial.replace(run_dir / f"{name}.live.json")
    except OSError:
        return


def read_live(run_dir: Path, name: str, clock: Clock, stale_s: float = STALE_S) -> dict[str, Any] | None:
    """The facts, or ``None`` when the process is silent, of an earlier boot, or older than ``stale_s`` seconds."""
    try:
        facts = json.loads((run_dir / f"{name}.live.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(facts, dict) or facts.get("boot_id") != clock.boot_id():
        return None
    age_s = clock.mono_s() - float(facts.get("mono_s", 0.0))
    return facts if age_s <= stale_s else None
