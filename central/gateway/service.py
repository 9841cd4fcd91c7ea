"""Everything that one gateway process is made of, put together and taken apart in order."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace

from appliance.clock import Clock, utc_text
from appliance.config import ConfigError, DicomwebDestination
from appliance.domain.limits import LimitSet
from appliance.logging import log
from central.config import CentralConfig
from central.gateway.auth import Doorkeeper
from central.gateway.checks import Checks
from central.gateway.enrol import Enrolment
from central.gateway.epochs import first_epoch
from central.gateway.handover import Handover
from central.gateway.inbox import Inboxes
from central.gateway.keys import load_keys
from central.gateway.objects import Objects
from central.gateway.pipeline import Pipeline
from central.gateway.rebuild import Rebuilder
from central.gateway.replacing import Replacer
from central.gateway.settle import Settler
from central.gateway.studies import Studies
from central.gateway.sweep import Sweeper
from central.gateway.uploads import Uploads
from central.gateway.workers import WorkerPool
from central.reading.filing import Filer
from central.store.opening import open_database
from sync.adapters.web import WebAddress


def _replacer(config: CentralConfig, clock: Clock) -> Replacer | None:
    """For the PACS that studies go to, where it is an Orthanc that can be asked."""
    if not config.replacing_url:
        return None
    address, table = WebAddress(config.replacing_url), config.destination
    if isinstance(table, DicomwebDestination):
        address = replace(address, username=table.username, password_file=table.password_file, ca_file=table.ca_file)
    return Replacer(address, config.data_dir / "replaced", LimitSet(), clock)


class Service:
    """The gateway without its door."""

    def __init__(self, config: CentralConfig, clock: Clock) -> None:
        """Open database, keys and object store.

        Raises:
            ConfigError: If one of them cannot be used.
        """
        self.config = config
        self.clock = clock
        self.limits = config.gateway.limits
        limits, self.database = self.limits, open_database(config)
        keys = load_keys(config.keys_dir)
        with self.database.write() as connection:
            first_epoch(connection, utc_text(clock.wall_s()))
        work_dir = config.work_dir
        shutil.rmtree(work_dir, ignore_errors=True)
        try:
            work_dir.mkdir(mode=0o700, parents=True)
            self.objects = Objects(config.parts_url)
        except (OSError, ValueError) as error:
            raise ConfigError(f"gateway.parts_url: {config.parts_url} cannot be used: {error}") from error
        self.inboxes = Inboxes(self.database, limits)
        self.doorkeeper = Doorkeeper(self.database, limits, clock, config.gateway.backup_horizon_days)
        self.enrolment = Enrolment(self.database, keys, limits, clock)
        self.workers = WorkerPool(limits)
        rebuilder = Rebuilder(self.database, self.objects, self.workers)
        self.handover = Handover(config.destination, limits, clock, work_dir / "handover", _replacer(config, clock))
        self.settler = Settler(self.database, keys, self.inboxes, clock, self.handover.name, self._poke)
        self.pipeline = Pipeline(self.database, rebuilder, self.handover, self.settler, limits, clock, work_dir)
        self.uploads = Uploads(self.database, self.objects, limits, clock, self.pipeline.part_completed)
        self.studies = Studies(self.database, self.uploads, self.settler, self.inboxes, limits, clock, self._poke)
        self.checks = Checks(self.database, self.handover, self.settler, limits)
        self.sweeper = Sweeper(self.database, self.objects, limits, clock, config.gateway.parts_keep_days)
        self.filer = Filer(self.database, self.handover, limits, clock, work_dir / "filing")
        self._tasks: list[asyncio.Task[None]] = []
        self.on_fault: Callable[[], None] = lambda: None
        """Called when a part that must run for ever has ended: the process is of no use then and has to end too."""

    def _poke(self) -> None:
        self.pipeline.poke()

    async def start(self) -> None:
        """Begin to rebuild and hand over; what was under way when the last process ended goes on."""
        self.handover.start()
        work = (self.workers.start(), self.pipeline.run(), self.sweeper.run(), self.filer.run())
        self._tasks = [asyncio.create_task(one) for one in work]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log("gateway", "fault", why=type(error).__name__)
            self.on_fault()

    async def hush(self) -> None:
        """Let every request come to an end: what was received is written, and who waits is answered."""
        self.inboxes.stop()
        await self.uploads.stop()

    async def stop(self) -> None:
        """End everything; the database knows where to go on."""
        await self.hush()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.handover.stop()
        await self.workers.close()
        self.database.close()
