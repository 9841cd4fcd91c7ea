"""The data partition's PIN against a real TPM 2.0 in software (swtpm), in the tools tree of the image's build."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.image.machine import TOP, WORK, tool

NEEDED = ("usr/bin/swtpm", "usr/bin/systemd-cryptenroll", "usr/bin/tpm2_shutdown")
IS_MISSING = os.geteuid() != 0 or not all((WORK / "tools" / each).exists() for each in NEEDED)
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(IS_MISSING, reason="no tools tree of the image with swtpm and systemd-cryptsetup, or no root"),
]
_SCRIPT = r"""
import os, signal, subprocess, sys, time
from pathlib import Path
here = Path(sys.argv[1])
sys.path.insert(0, sys.argv[2])
from appliance.firstboot import tpm
chip, disk = f"swtpm:path={here}/tpm", here / "disk"

def power_on():
    for name in ("tpm", "tpm.ctrl"):
        (here / name).unlink(missing_ok=True)
    (here / "state").mkdir(exist_ok=True)
    argv = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={here}/state", "--server", f"type=unixio,path={here}/tpm",
        "--ctrl", f"type=unixio,path={here}/tpm.ctrl", "--flags", "not-need-init,startup-clear"]
    started = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not ((here / "tpm").exists() and (here / "tpm.ctrl").exists()):
        assert started.poll() is None
    return started

def asked(*argv, key=b"", **environment):
    return subprocess.run(argv, input=key, env={**os.environ, **environment}, capture_output=True)

def pin_opens(pin):
    argv = ("systemd-cryptenroll", f"--unlock-tpm2-device={chip}", "--recovery-key", str(disk))
    return asked(*argv, PIN=pin).returncode == 0

def passphrase_opens():
    return asked("cryptsetup", "open", "--test-passphrase", "--key-file=-", str(disk), key=passphrase).returncode == 0

def wrong_count():
    said = asked("tpm2_getcap", "properties-variable", TPM2TOOLS_TCTI=chip).stdout.decode()
    return int(said.split("TPM2_PT_LOCKOUT_COUNTER:")[1].split()[0], 16)

def cut(running):
    running.kill()
    running.wait()
    return power_on()

passphrase = b"long enough secret"
disk.write_bytes(bytes(32 * 1024**2))
cheap = ("--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000")
asked("cryptsetup", "luksFormat", "--batch-mode", "--type=luks2", *cheap, "--key-file=-", str(disk), key=passphrase)
running = power_on()
try:
    tpm.enrol(disk, "long enough secret", "864209", here, chip)
    print("right", pin_opens("864209"), "wrong", pin_opens("111222"), "passphrase", passphrase_opens())
    asked("tpm2_dictionarylockout", "--clear-lockout", TPM2TOOLS_TCTI=chip)
    pin_opens("864209")
    running = cut(running)
    print("cut", wrong_count())
    asked("tpm2_dictionarylockout", "--clear-lockout", TPM2TOOLS_TCTI=chip)
    pin_opens("864209")
    asked("tpm2_shutdown", "--clear", TPM2TOOLS_TCTI=chip)
    running = cut(running)
    print("at rest", wrong_count(), "right", pin_opens("864209"))
    for pin in ("000001", "000002", "000003"):
        pin_opens(pin)
    print("locked", pin_opens("864209"), "passphrase", passphrase_opens())
    head = asked("cryptsetup", "luksDump", str(disk)).stdout.decode()
    print("pcrs", [line.split(":")[1].strip() for line in head.splitlines() if "tpm2-hash-pcrs" in line])
finally:
    running.kill()
try:
    tpm.enrol(disk, "long enough secret", "864209", here, f"swtpm:path={here}/nowhere")
except tpm.TpmError as error:
    print("no chip:", bool(str(error)), "passphrase", passphrase_opens())
"""


def test_pin_opens_with_this_tpm_alone_and_the_passphrase_always(tmp_path: Path) -> None:
    argv = tool(tmp_path, "python3", "-c", _SCRIPT, str(tmp_path), str(TOP), also=TOP)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.splitlines() == [
        "right True wrong False passphrase True",
        "cut 1",  # what the image's tpm-at-rest is for
        "at rest 0 right True",
        "locked False passphrase True",
        "pcrs ['']",
        "no chip: True passphrase True",
    ], done.stderr
