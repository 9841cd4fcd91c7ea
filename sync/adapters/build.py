"""From a destination's table to its adapter; libraries are imported only for the kinds that a unit uses."""

from __future__ import annotations

import shutil
from pathlib import Path

from appliance.clock import Clock
from appliance.config import DestinationTable, DicomwebDestination
from appliance.domain.limits import LimitSet
from sync.adapters.base import Destination
from sync.encoder.base import Encoder


def build(
    table: DestinationTable, limits: LimitSet, clock: Clock, work_dir: Path, encoder: Encoder | None = None
) -> Destination:
    """The adapter of one destination; nothing is connected yet, and wrong settings show as a failure of each call.

    Args:
        table: Its part of the configuration.
        limits: The unit's bounds.
        clock: Read for stalls and deadlines only.
        work_dir: For pictures read back for comparison; each destination gets a folder of its own below it, made
            anew: what an earlier run left there is removed.
        encoder: Makes the parts that gateways take.
    """
    folder = work_dir / table.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(table, DicomwebDestination):
        from sync.adapters.dicomweb import Dicomweb

        return Dicomweb(table, limits, clock, folder)
    from sync.adapters.dimse import Dimse

    return Dimse(table, limits, clock, folder)
