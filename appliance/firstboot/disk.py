"""Locks the data partition (LUKS2) and puts a file system into it; once, on a partition that holds nothing."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.firstboot import tpm

DEVICE = Path("/dev/disk/by-partlabel/qafila-data")
MAPPED = Path("/dev/mapper/data")
MOUNT = Path("/data")
UNFINISHED, MADE = "qafila-unfinished", "qafila"
"""What the head of the partition says from its first write on, and once everything is in it."""
RESERVED_PERCENT = 3
"""Kept for root, so that journal and recovery still write when studies have filled the rest."""
AES_FLAG = "aes"
_MODHEX = "cbdefghijklnrtuv"
_MEMORY = Path("/run")
"""Nothing that is written there reaches a disk."""
KEYMAP_TOKEN = 9
"""Number of the head's entry that names the console's keymap; ``/usr/lib/qafila/console`` reads it."""
_MAGICS, _HEADS_BYTES = (b"LUKS\xba\xbe", b"SKUL\xba\xbe"), 8 * 1024**2
"""Of both copies of a LUKS2 head, and where all of them are."""


class DiskError(Exception):
    """The data partition could not be made; the text says which step failed."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens the partition; each alone is enough."""

    passphrase: str = field(repr=False)
    recovery: str = field(default="", repr=False)
    tpm_pin: str = field(default="", repr=False)
    """Only together with the TPM of this machine."""


def cipher_for(cpu_flags: frozenset[str]) -> tuple[str, ...]:
    """``cryptsetup`` options: AES-XTS where the processor has AES, Adiantum where it has not (Raspberry Pi 4)."""
    if AES_FLAG in cpu_flags:
        return ("--cipher=aes-xts-plain64", "--key-size=512")
    return ("--cipher=xchacha12,aes-adiantum-plain64", "--key-size=256")


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """What the first processor of ``/proc/cpuinfo`` can do."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def is_needed(head: str) -> bool:
    """Whether ``lock`` is still to be done, by ``dump``: never done, or cut in the middle. Others stay."""
    return not head or any(line.split() == ["Subsystem:", UNFINISHED] for line in head.splitlines())


def dump(device: Path = DEVICE) -> str:
    """What the head of the partition says; empty when it is no LUKS partition.

    Raises:
        DiskError: If it was one and its head cannot be read any more: making it anew would end what is left of it.
    """
    done = subprocess.run(("cryptsetup", "luksDump", str(device)), capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout
    with device.open("rb") as opened:
        head = opened.read(_HEADS_BYTES)
    if any(magic in head for magic in _MAGICS):
        raise DiskError(f"the head of {device} is damaged: {done.stderr.strip()}")
    return ""


def recovery_key() -> str:
    """A second passphrase of 160 random bits, for whoever keeps it far from the unit.

    Its letters lie on the same keys of every Latin keyboard (modhex), so that none is mistyped on a strange one.
    """
    groups = ("".join(secrets.choice(_MODHEX) for _ in range(5)) for _ in range(8))
    return "-".join(groups)


def lock(keys: Keys, files: Mapping[str, str], keymap: str = "") -> str:
    """Make the partition and leave it open as ``MAPPED``, with ``files`` (paths below the mount) in it, unmounted.

    Power may be cut at any moment: until all of it is there, ``is_needed`` says so.

    Returns:
        Why the TPM does not take the PIN; empty when it does, or when there is no PIN. The other keys open it then.

    Raises:
        DiskError: At the first step that fails; nothing of value was on the partition before.
    """
    cipher = cipher_for(cpu_flags(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")))
    memory_kib = str(min(262_144, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024 // 4))
    key = keys.passphrase.encode("utf-8")
    luks = (
        "--type=luks2",
        "--pbkdf=argon2id",
        f"--pbkdf-memory={memory_kib}",
        "--iter-time=2000",
        f"--subsystem={UNFINISHED}",
    )
    _run(("cryptsetup", "luksFormat", "--batch-mode", *luks, *cipher, "--key-file=-", str(DEVICE)), key)
    _run(("cryptsetup", "open", "--key-file=-", str(DEVICE), MAPPED.name), key)
    _run(
        ("mkfs.ext4", "-q", "-L", "qafila-data", "-m", str(RESERVED_PERCENT), "-O", "metadata_csum,64bit", str(MAPPED))
    )
    _run(("mount", "-o", "nodev,nosuid,noexec", str(MAPPED), str(MOUNT)))
    try:
        write_all(MOUNT, files)
    finally:
        _run(("umount", str(MOUNT)))
    if keys.recovery:
        _add_key(key, keys.recovery.encode("ascii"))
    if keymap:
        name_keymap(keymap)
    trouble = ""
    if keys.tpm_pin:
        try:
            tpm.enrol(DEVICE, keys.passphrase, keys.tpm_pin, _MEMORY)
        except tpm.TpmError as error:
            trouble = str(error)
    _run(("cryptsetup", "config", str(DEVICE), "--subsystem", MADE))
    os.sync()
    return trouble


def name_keymap(keymap: str, device: Path = DEVICE) -> None:
    """Say in the head, which can be read while the partition is locked, which keymap its passphrase is typed on."""
    entry = json.dumps({"type": "qafila-console", "keyslots": [], "keymap": keymap})
    command = ("cryptsetup", "token", "import", f"--token-id={KEYMAP_TOKEN}", "--json-file=-", str(device))
    _run(command, entry.encode("ascii"))


def _add_key(key: bytes, recovery: bytes, device: Path = DEVICE) -> None:
    """Random bits need no slow function in front of them."""
    with tempfile.NamedTemporaryFile(dir=_MEMORY) as file:
        file.write(recovery)
        file.flush()
        quick = ("--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000")
        _run(("cryptsetup", "luksAddKey", "--batch-mode", *quick, "--key-file=-", str(device), file.name), key)


def write_all(top: Path, files: Mapping[str, str]) -> None:
    """Every file durable: written, synced, and its folders synced; readable by root alone where it holds secrets."""
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        secret = name.startswith("network/")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if secret else 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            os.fchmod(opened.fileno(), 0o600 if secret else 0o644)
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
    os.sync()


def _run(argv: tuple[str, ...], key: bytes = b"") -> None:
    done = subprocess.run(argv, input=key, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise DiskError(f"{' '.join(argv[:2])} ended with {done.returncode}: {said}")
