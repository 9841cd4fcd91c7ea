"""``qafila tui --demo``: a unit's day through the real screens, for training; no Orthanc, no network, no real person.

Everything but the devices and the centre is real: the database, the registration, the sync engine and every screen.
The folder of the unit is temporary and gone afterwards.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from appliance.cli.tui_demo.centre import DemoCentre
from appliance.cli.tui_demo.day import Day
from appliance.cli.tui_demo.pictures import DrawnPreviews
from appliance.clock import SystemClock
from appliance.config import UnitConfig, load_unit
from appliance.store.connect import migrate

UNIT_TOML = """[unit]
name = "demo"
data_dir = "{folder}/data"

[screen]
language = "{language}"

[[modality]]
ae_title = "XRAY"

[[destination]]
kind = "dicomweb"
name = "centre"
url = "http://127.0.0.1:9/dicom-web"
"""


def made_unit(folder: Path, language: str) -> tuple[UnitConfig, Path]:
    """An empty unit in ``folder``, and its configuration's path."""
    path = folder / "unit.toml"
    path.write_text(UNIT_TOML.format(folder=folder, language=language), encoding="utf-8")
    config = load_unit(path)
    config.data_dir.mkdir(parents=True)
    config.run_dir.mkdir(parents=True, exist_ok=True)
    migrate(config.unit_db, config.door_db)
    return config, path


def run(language: str, graphics: str) -> int:
    """Play until somebody leaves the screen; the exit code of the command."""
    from sync.runner import Runner
    from tui.run import run as show

    clock, stop = SystemClock(), threading.Event()
    with tempfile.TemporaryDirectory(prefix="qafila-demo-") as place:
        config, path = made_unit(Path(place), language)
        centre, previews = DemoCentre(), DrawnPreviews()
        day = Day(config, clock, centre, stop)
        day.begin()
        work = (Runner(config, [centre], clock, stop).run, day.run)
        threads = [threading.Thread(target=each, name=f"demo-{number}") for number, each in enumerate(work)]
        for thread in threads:
            thread.start()
        try:
            return show(config, path, previews, None, graphics)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
