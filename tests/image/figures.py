"""What the image needs and how fast it is, in QEMU with 2 GiB: ``make image-figures``.

Times are of an emulated processor and say how phases compare; memory and written bytes are what they are on a board.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from tests.image.enrolled import asked, enrolled, send, wait_until_good
from tests.image.machine import WORK, Machine, images, missing

STUDY_COUNT = 20
SECTOR_BYTES = 512


def written_bytes(machine: Machine) -> int:
    """Bytes that the guest has written to its disk since it started."""
    return int(machine.run("sync; cat /sys/block/vda/stat").split()[6]) * SECTOR_BYTES


def since_start_s(machine: Machine, unit: str, key: str = "ActiveEnterTimestampMonotonic") -> float:
    """Seconds from the kernel's start until a unit was up."""
    return int(machine.run(f"systemctl show -P {key} {unit}")) / 1e6


def received(machine: Machine, folder: Path) -> tuple[int, int]:
    """Bytes of studies received, and written for them."""
    sent, before = 0, written_bytes(machine)
    for number in range(STUDY_COUNT):
        path = folder / f"{number}.dcm"
        assert send(machine, path) == 0
        sent += path.stat().st_size
    machine.wait_for(lambda: len(asked(machine, "studies")["studies"]) >= STUDY_COUNT, 300, "all studies are listed")
    return sent, written_bytes(machine) - before


def main() -> int:
    """Print one line a figure."""
    if reason := missing():
        print(f"not run: {reason}")
        return 3
    with (
        tempfile.TemporaryDirectory(prefix="figures-", dir=WORK, ignore_cleanup_errors=True) as folder,
        enrolled(images()[-1], Path(folder) / "guest") as machine,
    ):
        machine.run("sync")
        machine.cut()
        machine.start()
        wait_until_good(machine)
        machine.wait_for(lambda: "qafila tui" in machine.run("ps ax"), 300, "the screen runs")
        print(machine.run("systemd-analyze time; systemd-analyze critical-chain --no-pager qafila-good.service"))
        print(f"screen's program started: {since_start_s(machine, 'qafila-screen'):.1f} s after the kernel")
        print(f"self-check passed (C-STORE served): {since_start_s(machine, 'qafila-selfcheck'):.1f} s")
        machine.wait_for(lambda: float(machine.run("cut -d' ' -f1 /proc/loadavg")) < 0.3, 600, "nothing is busy")
        memory = machine.run("cat /proc/meminfo")
        total, free = (int(re.findall(rf"{name}: +(\d+)", memory)[0]) for name in ("MemTotal", "MemAvailable"))
        print(f"idle memory: {(total - free) // 1024} MiB of {total // 1024} MiB")
        print(machine.run("ps -eo rss,args --sort -rss | head -12"))
        idle = written_bytes(machine)
        machine.run("sleep 60", 120)
        print(f"written in an idle minute: {written_bytes(machine) - idle} bytes")
        sent, written = received(machine, Path(folder))
        print(f"written for {sent} received bytes: {written}, {written / sent:.2f} bytes a byte")
    return 0


if __name__ == "__main__":
    sys.exit(main())
