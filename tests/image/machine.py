"""The appliance's image in QEMU: a fresh disk, two network cards, a screen, and a power button.

Everything runs inside the tools tree of ``image/build.sh``. The two network cards end in a network namespace made for
this guest: no packet leaves this machine, and whoever wants to speak with the guest does so from in there.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
WORK = Path(os.environ.get("QAFILA_IMAGE", TOP / ".cache" / "image"))
MODALITY_ADDRESS, MODALITY_PEER = "192.168.50.1", "192.168.50.2"
UPLINK_ADDRESS, UPLINK_PEER = "198.51.100.9", "198.51.100.2"
MODALITY_CABLE, UPLINK_CABLE = "cable0", "cable1"
MODALITY_CARD, UPLINK_CARD = "enp0s16", "enp0s17"
"""As the guest names them: PCI slots 0x10 and 0x11."""
MEMORY_MIB = 2048
FIRMWARE_ENDS = "BdsDxe: starting"
"""Its last words on the serial console: as many of them, as many starts."""
_KERNEL = "systemd.show_status=yes systemd.default_device_timeout_sec=1800 systemd.default_timeout_start_sec=1800"
"""Patience: an emulated machine may get a tenth of a processor."""
DISK_BYTES = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class Processor:
    """How QEMU is called for one kind of processor."""

    argv: tuple[str, ...]
    firmware: str
    variables: str
    """Both below ``/usr/share`` of the tools tree."""
    shell: str
    shell_tty: str
    """The serial card of the debug shell, and what the guest calls it."""


AMD64 = Processor(
    ("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"),
    "OVMF/OVMF_CODE_4M.fd",
    "OVMF/OVMF_VARS_4M.fd",
    "isa-serial",
    "ttyS1",
)
ARM64 = Processor(
    ("qemu-system-aarch64", "-machine", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a72"),
    "AAVMF/AAVMF_CODE.no-secboot.fd",
    "AAVMF/AAVMF_VARS.fd",
    "pci-serial",
    "ttyS0",
)
"""The processor of a Raspberry Pi 4, on a machine that has UEFI."""


def images(profile: str = "vm") -> list[Path]:
    """The images that were built for a profile, oldest first."""
    return sorted((WORK / "out" / profile).glob("qafila_*[0-9].raw"), key=lambda path: path.stat().st_mtime)


def missing(profile: str = "vm") -> str:
    """Why the image cannot be tried here, in words; empty when it can."""
    if os.geteuid() != 0:
        return "trying the image needs root (network namespaces, mounts)"
    if not (WORK / "tools" / "usr/bin/qemu-system-x86_64").exists() or not images(profile):
        return f"no image in {WORK}; make image BOARD={profile} builds it"
    return "" if Path("/dev/net/tun").exists() else "no /dev/net/tun on this machine"


def tool(folder: Path, *command: str, also: Path | None = None) -> list[str]:
    """A command of the tools tree, which sees ``folder`` (and ``also``) at its own path."""
    folders = [str(folder), *([str(also)] if also else [])]
    return ["env", f"QAFILA_IMAGE={WORK}", "sh", str(TOP / "image" / "in-tools.sh"), *folders, "--", *command]


def ip(*arguments: str) -> None:
    """One ``ip`` command that must work."""
    subprocess.run(["ip", *arguments], check=True)


@dataclass(slots=True)
class Machine:
    """One guest; its files lie in ``folder`` and can be started again after a stop or a cut."""

    folder: Path
    namespace: str
    credentials: dict[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    blockdev: str = ""
    """QEMU's words for another disk than ``disk.raw`` as it is; its node is called ``disk``."""
    kernel: str = ""
    """More of the kernel's command line."""
    processor: Processor = AMD64
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def fresh(cls, image: Path, folder: Path, credentials: dict[str, str], processor: Processor = AMD64) -> Machine:
        """A disk larger than the image, as when the image is written to one, and empty firmware variables."""
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "--sparse=always", str(image), str(folder / "disk.raw")], check=True)
        os.truncate(folder / "disk.raw", DISK_BYTES)
        shutil.copy(WORK / "tools" / "usr/share" / processor.variables, folder / "vars.fd")
        return cls(folder, f"qafila-{os.getpid()}", credentials, processor=processor)

    def inside(self, *argv: str) -> list[str]:
        """A command as it runs in the guest's surroundings."""
        return ["ip", "netns", "exec", self.namespace, *argv]

    @contextlib.contextmanager
    def surroundings(self) -> Iterator[None]:
        """The namespace with both cables: the modalities' switch with a modality on it, and the uplink's."""
        ip("netns", "add", self.namespace)
        try:
            for name, address in ((MODALITY_CABLE, f"{MODALITY_PEER}/24"), (UPLINK_CABLE, f"{UPLINK_PEER}/24")):
                ip("-n", self.namespace, "tuntap", "add", "dev", name, "mode", "tap")
                ip("-n", self.namespace, "addr", "add", address, "dev", name)
                ip("-n", self.namespace, "link", "set", name, "up")
            ip("-n", self.namespace, "link", "set", "lo", "up")
            yield
        finally:
            self.cut()
            ip("netns", "delete", self.namespace)

    def start(self) -> None:
        """Switch on."""
        for name in ("qmp", "serial.log"):
            (self.folder / name).unlink(missing_ok=True)
        with (self.folder / "qemu.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.inside(*tool(self.folder, *self._argv())), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def cut(self) -> None:
        """Pull the plug: the guest hears nothing of it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def serial(self) -> str:
        """What the guest wrote to its serial console since it was switched on."""
        path = self.folder / "serial.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def qmp(self, command: str, **arguments: Any) -> Any:
        """One command of QEMU's machine protocol."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder / "qmp"))
            with connection.makefile("rwb") as stream:
                stream.readline()
                for name, values in (("qmp_capabilities", {}), (command, arguments)):
                    stream.write(json.dumps({"execute": name, "arguments": values}).encode() + b"\n")
                    stream.flush()
                    answer = json.loads(stream.readline())
                    while "event" in answer:
                        answer = json.loads(stream.readline())
                    if "error" in answer:
                        raise RuntimeError(f"{name}: {answer['error']}")
        return answer["return"]

    def run(self, command: str, seconds_max: float = 120.0) -> str:
        """Output of a shell command in the guest, through systemd's debug shell, which only this test's kernel command
        line starts.

        Raises:
            TimeoutError: When no answer comes.
        """
        if (
            "Welcome to" not in self.serial().split(FIRMWARE_ENDS)[-1]
        ):  # who starts would take what is typed for its own
            raise TimeoutError("the kernel has not started yet")
        stamp = time.monotonic_ns()
        quiet = "stty -echo 2>/dev/null\nexec sh\nPS1= PS2=\n"
        script = f"{quiet}echo BEGIN''{stamp}\n{{ {command}\n}} 2>&1 | cat\necho END''{stamp}\n"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds_max)
            connection.connect(str(self.folder / "shell"))
            connection.sendall(script.encode())
            said = ""
            while f"END{stamp}" not in said:
                piece = connection.recv(65536)
                if not piece:
                    raise TimeoutError(f"the guest's shell went away: {said}")
                said += piece.decode("utf-8", "replace")
        return said.split(f"BEGIN{stamp}")[-1].split(f"END{stamp}")[0].replace("\r", "").strip("\n")

    def screen(self, name: str) -> Path:
        """A picture of the guest's screen, as PNG."""
        path = self.folder / f"{name}.png"
        self.qmp("screendump", filename=str(path), format="png")
        return path

    def wait_for(self, condition: Callable[[], bool], seconds_max: float, what: str) -> float:
        """Seconds until ``condition``; an emulated machine has no events of its own to wait for.

        Raises:
            TimeoutError: With the end of the serial console.
        """
        began = time.monotonic()
        while time.monotonic() - began < seconds_max:
            if condition():
                return time.monotonic() - began
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(f"QEMU ended: {(self.folder / 'qemu.log').read_text(errors='replace')[-2000:]}")
            time.sleep(1.0)
        raise TimeoutError(f"not within {seconds_max:.0f} s: {what}\n{self.serial()[-3000:]}")

    def _kernel(self) -> str:
        """With a way in for tests."""
        return f"systemd.debug_shell={self.processor.shell_tty} {_KERNEL} {self.kernel}"

    def _argv(self) -> list[str]:
        smbios = [
            argument
            for name, value in self.credentials.items()
            for argument in (
                "-smbios",
                f"type=11,value=io.systemd.credential.binary:{name}={base64.b64encode(value.encode()).decode()}",
            )
        ]
        return [
            *self.processor.argv,
            *(
                "-smp",
                os.environ.get("QAFILA_IMAGE_CPUS", "2"),
                "-m",
                str(MEMORY_MIB),
                "-nodefaults",
                "-no-user-config",
            ),
            *("-drive", f"if=pflash,format=raw,readonly=on,file=/usr/share/{self.processor.firmware}"),
            *("-drive", f"if=pflash,format=raw,file={self.folder / 'vars.fd'}"),
            *(
                "-blockdev",
                self.blockdev or f"driver=raw,node-name=disk,file.driver=file,file.filename={self.folder / 'disk.raw'}",
            ),
            *("-device", "virtio-blk-pci,drive=disk,bootindex=1"),
            *("-netdev", f"tap,id=modality,ifname={MODALITY_CABLE},script=no,downscript=no"),
            *("-device", "virtio-net-pci,netdev=modality,mac=52:54:00:00:50:01,addr=0x10,romfile="),
            *("-netdev", f"tap,id=uplink,ifname={UPLINK_CABLE},script=no,downscript=no"),
            *("-device", "virtio-net-pci,netdev=uplink,mac=52:54:00:00:50:02,addr=0x11,romfile="),
            *("-device", "virtio-rng-pci", "-device", "VGA", "-display", "none", "-device", "qemu-xhci,id=usb"),
            *("-device", "usb-kbd", "-rtc", "base=utc"),
            *("-serial", f"file:{self.folder / 'serial.log'}", "-qmp", f"unix:{self.folder / 'qmp'},server,nowait"),
            *(
                "-chardev",
                f"socket,id=shell,path={self.folder / 'shell'},server=on,wait=off",
                "-device",
                f"{self.processor.shell},chardev=shell",
            ),
            *(
                "-smbios",
                f"type=11,value=io.systemd.stub.kernel-cmdline-extra={self._kernel()}",
            ),
            *smbios,
            *self.extra,
        ]
