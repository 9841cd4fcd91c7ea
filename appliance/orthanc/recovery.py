"""``python -m appliance.orthanc.recovery``: at every start, before the door opens, everything is made to agree.

Phase ``files`` runs while Orthanc does not: databases, files, ledger and Orthanc's index. Phase ``index`` runs as soon
as Orthanc answers: what its index lacks is handed to it again. Both may be cut off at any moment and run again;
``docs/reference/recovery.md`` says what becomes of every state a power cut can leave.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from appliance.clock import Clock, SystemClock
from appliance.config import ConfigError, UnitConfig, load_unit
from appliance.dicom.header import HeaderReader
from appliance.logging import log
from appliance.orthanc.index import IndexInUse
from appliance.orthanc.process import VERSIONS_TESTED
from appliance.orthanc.rebuild import RecoveryStopped, sound_databases, sound_index, tell
from appliance.orthanc.reconcile import Plan, Reconciler
from appliance.orthanc.repost import Reposter
from appliance.orthanc.rest import OrthancDown, OrthancRefused, OrthancRest
from appliance.orthanc.settings import ACCESS_FILE
from appliance.store.connect import open_door, open_unit
from appliance.store.errors import StoreError, StoreFault

EXIT_CONFIG = 2
EXIT_STOPPED = 4
TRY_COUNT_MAX = 5
RETRY_S_FIRST = 0.2
PLAN_FILE = "recovery.json"
_PASSING = frozenset((StoreFault.BUSY, StoreFault.IO, StoreFault.CORRUPT))
"""Damage too: what is found after the check may be one failed read, and the next try checks again."""


def recover_files(config: UnitConfig, clock: Clock, did: Callable[[str], None] = lambda _: None) -> Plan:
    """Phase ``files``; the plan for phase ``index``, which is also left in ``run_dir``.

    ``did`` is called after each durable step with its name: where tests cut.

    Raises:
        RecoveryStopped, IndexInUse: A person must do something first; the text says what.
        StoreError, OSError: The disk or a database failed; nothing was lost, run it again.
    """
    for folder in (config.data_dir, config.blob_dir, config.quarantine_dir, config.orthanc_dir, config.run_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (config.run_dir / PLAN_FILE).unlink(missing_ok=True)
    rebuilt = sound_databases(config)
    index, is_index_damaged = sound_index(config)
    tell(config, (*rebuilt, *(("index",) if is_index_damaged else ())))
    with ExitStack() as stack:
        door = stack.enter_context(open_door(config.door_db, clock=clock))
        plan = Reconciler(
            config=config,
            unit=stack.enter_context(open_unit(config.unit_db, clock=clock)),
            door=door,
            index=index,
            headers=stack.enter_context(HeaderReader()),
            clock=clock,
            is_index_lost=index.is_new,
            # An empty ledger beside blobs is a lost one, whoever made it anew.
            is_ledger_lost=config.door_db.name in rebuilt or door.value("SELECT max(kept_id) FROM kept") is None,
            did=did,
        ).run()
    _write_plan(config, plan)
    log("unit.recovery", "files agree", repost=len(plan.repost), ghosts=len(plan.ghosts))
    return plan


def recover_index(config: UnitConfig, clock: Clock, did: Callable[[str], None] = lambda _: None) -> None:
    """Phase ``index``, by the plan that phase ``files`` left; ``did`` as in ``recover_files``.

    Raises:
        RecoveryStopped: If there is no plan, or Orthanc is of a version nobody tested.
        OrthancDown: If it does not answer.
        StoreError, OSError: As ``recover_files``.
    """
    plan = _read_plan(config)
    orthanc = OrthancRest(config.run_dir / ACCESS_FILE)
    version = orthanc.version()
    if version not in VERSIONS_TESTED:
        raise RecoveryStopped(
            f"this is Orthanc {version}, and this release is tested with {' and '.join(VERSIONS_TESTED)}. "
            "Studies on this disk are safe; install one of these, or set orthanc.command"
        )
    with open_unit(config.unit_db, clock=clock) as unit, open_door(config.door_db, clock=clock) as door:
        Reposter(config, unit, door, orthanc, did).run(plan)
    (config.run_dir / PLAN_FILE).unlink(missing_ok=True)
    log("unit.recovery", "index agrees")


def _write_plan(config: UnitConfig, plan: Plan) -> None:
    """Replaced whole and not flushed: after a power cut phase ``files`` runs again anyway."""
    partial = config.run_dir / f"{PLAN_FILE}.part"
    partial.write_text(json.dumps({"repost": plan.repost, "ghosts": plan.ghosts}), encoding="utf-8")
    partial.replace(config.run_dir / PLAN_FILE)


def _read_plan(config: UnitConfig) -> Plan:
    try:
        facts = json.loads((config.run_dir / PLAN_FILE).read_text(encoding="utf-8"))
        return Plan([str(each) for each in facts["repost"]], [(str(a), str(b)) for a, b in facts["ghosts"]])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecoveryStopped(
            "phase 'files' has not run in this start; run it first, while Orthanc is stopped"
        ) from error


def run(config: UnitConfig, phase: str, stop: threading.Event, clock: Clock) -> int:
    """One phase, tried a few times when the disk or another writer stands in the way; the exit code."""
    retry_s = RETRY_S_FIRST
    for number in range(1, TRY_COUNT_MAX + 1):
        try:
            recover_files(config, clock) if phase == "files" else recover_index(config, clock)
            return 0
        except (RecoveryStopped, IndexInUse, OrthancDown, OrthancRefused) as error:
            log("unit.recovery", "stopped", phase=phase, why=error)
            return EXIT_STOPPED
        except (StoreError, OSError) as error:
            log("unit.recovery", "failed", phase=phase, attempt=number, why=error)
            if isinstance(error, StoreError) and error.kind not in _PASSING:
                return EXIT_STOPPED
        if stop.wait(retry_s):
            break
        retry_s *= 2
    return EXIT_STOPPED


def main() -> int:
    """0 when everything agrees, 2 for a configuration that cannot be used, 4 when it could not finish."""
    parser = argparse.ArgumentParser(prog="python -m appliance.orthanc.recovery", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="unit.toml")
    parser.add_argument("--phase", choices=("files", "index"), required=True)
    arguments = parser.parse_args()
    try:
        config = load_unit(arguments.config)
    except ConfigError as error:
        log("unit.recovery", "cannot start", why=error)
        return EXIT_CONFIG
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return run(config, arguments.phase, stop, SystemClock())


if __name__ == "__main__":
    sys.exit(main())
