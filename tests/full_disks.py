"""Full disks of many sizes under the whole unit: ``python -m tests.full_disks --sizes 20`` (``make full-disks``).

A modality fills a small ext4 while the link is away, so nothing can leave. *Success* must stay true to the last byte,
reception must open again by itself when there is room, and everything promised must reach the centre.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from appliance.cli.demo.link import CuttableLink
from tests.support.orthancs import orthanc_commands
from tests.support.power import missing_for_power_cuts, new_disk, power_pool
from tests.support.promises import centre_faults, kept_faults, settled, shown_but_not_there
from tests.support.world import Modality, dicomweb_destination, make_unit, running_centre, wait_for

MIB = 1024 * 1024
REFUSALS_WANTED = 6
FILL_S_MAX = 180.0
SETTLE_S_MAX = 120.0


def run_full_disk(folder: Path, orthanc: str, disk_bytes: int, ballast_bytes: int, floor_bytes: int) -> list[str]:
    """One disk filled to refusal, given room, and emptied to the centre; every broken promise.

    Args:
        folder: For everything; must not be on the small disk.
        orthanc: Command to run.
        disk_bytes: Size of the ext4 that holds the unit's data.
        ballast_bytes: Of a file that is deleted to make room.
        floor_bytes: ``free_bytes_floor``; 0 lets the disk run into ENOSPC itself.
    """
    limits = f"[limits]\nfree_bytes_floor = {floor_bytes}\nfree_inode_floor = 0\nfree_bytes_warn = 0\n"
    limits += "free_bytes_stat_only = 0\nobject_share_of_free_space_max = 1.0\n"
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(power_pool(folder))
        centre = stack.enter_context(running_centre(folder / "centre", orthanc))
        disk = stack.enter_context(new_disk(pool, "small.img", folder / "small", disk_bytes))
        link = CuttableLink(centre.http_port)
        stack.callback(link.close)
        link.cut()
        url = f"http://127.0.0.1:{link.port}/dicom-web"
        unit = make_unit(folder / "unit", orthanc, dicomweb_destination(url), disk.folder / "unit", limits)
        ballast = disk.folder / "ballast"
        ballast.write_bytes(bytes(ballast_bytes))
        unit.start()
        stack.callback(unit.stop)
        modality = Modality(unit.config.dicom.port, size_bytes=int(0.4 * MIB))
        _fill(modality)
        ballast.unlink()
        told_before = len(modality.told)
        wait_for(lambda: modality.send(1) or len(modality.told) > told_before, "reception to open again by itself")
        link.restore()
        faults = shown_but_not_there(unit, centre)
        try:
            wait_for(lambda: settled(unit, modality.told), "every promised instance to be confirmed", SETTLE_S_MAX)
        except AssertionError as late:
            faults.append(str(late))
        return faults + kept_faults(unit, modality.told) + centre_faults(centre, modality.told)


def _fill(modality: Modality) -> None:
    """Send until the unit refuses again and again; broken associations count as refusals too."""
    pause = threading.Event()
    refusals = 0

    def full() -> bool:
        nonlocal refusals
        if not modality.send(4):
            refusals += 1
            pause.wait(0.2)
        return refusals >= REFUSALS_WANTED

    wait_for(full, "the disk to be full", FILL_S_MAX)


def main() -> int:
    """Run for every Orthanc on this machine; 0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.full_disks", description=__doc__)
    parser.add_argument("--sizes", type=int, default=20)
    parser.add_argument("--orthanc", action="append", help="command; default: every Orthanc found")
    arguments = parser.parse_args()
    if reason := missing_for_power_cuts():
        print(f"not run: {reason}")
        return 3
    say: Callable[[str], None] = lambda line: print(line, flush=True)  # noqa: E731 - one word for the lines below
    failed = False
    for orthanc in arguments.orthanc or orthanc_commands():
        for number in range(arguments.sizes):
            disk_bytes = 40 * MIB + number * (3 * MIB + 4096 * 7)
            floor_bytes = (0, 0, 4 * MIB)[number % 3]
            with tempfile.TemporaryDirectory(
                prefix="qafila-full-", dir="/var/tmp", ignore_cleanup_errors=True
            ) as place:
                faults = run_full_disk(Path(place), orthanc, disk_bytes, 8 * MIB, floor_bytes)
            say(f"{orthanc}: disk {disk_bytes} bytes, floor {floor_bytes}: {len(faults)} faults {'; '.join(faults)}")
            failed = failed or bool(faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
