"""From a destination's table to its adapter; libraries are imported only for the kinds that a unit uses."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.clock import Clock
from appliance.config import ConfigError, DestinationTable, DicomwebDestination, DimseDestination
from appliance.domain.limits import LimitSet
from sync.adapters.base import Destination

if TYPE_CHECKING:
    from sync.encoder.base import Encoder


@dataclass(frozen=True, slots=True)
class Home:
    """Where a gateway destination finds what belongs to the unit."""

    identity_dir: Path
    run_dir: Path
    encoder: Encoder


def build(
    table: DestinationTable, limits: LimitSet, clock: Clock, work_dir: Path, home: Home | None = None
) -> Destination:
    """The adapter of one destination; nothing is connected yet, and wrong settings show as a failure of each call.

    Args:
        table: Its part of the configuration.
        limits: The unit's bounds.
        clock: Read for stalls and deadlines only.
        work_dir: For pictures read back for comparison; each destination gets a folder of its own below it, made
            anew: what an earlier run left there is removed.
        home: For a gateway.

    Raises:
        ConfigError: If a gateway is to be built without ``home``.
    """
    if isinstance(table, DicomwebDestination):
        from sync.adapters.dicomweb import Dicomweb

        return Dicomweb(table, limits, clock, _folder(work_dir, table.name))
    if isinstance(table, DimseDestination):
        from sync.adapters.dimse import Dimse

        return Dimse(table, limits, clock, _folder(work_dir, table.name))
    if home is None:
        raise ConfigError(f"destination {table.name!r}: a gateway is spoken to by an enrolled unit only")
    from sync.adapters.gateway.adapter import Gateway

    return Gateway(table, limits, clock, home)


def _folder(work_dir: Path, name: str) -> Path:
    folder = work_dir / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
