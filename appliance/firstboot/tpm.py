"""The TPM as another way into the data partition: a PIN that opens it in this very machine and nowhere else.

No PCR is bound (``docs/decisions/0023-tpm-with-pin.md``): an update changes the kernel image and must not lock a unit.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

CHIP = Path("/dev/tpmrm0")
PIN_DIGITS_MIN, PIN_DIGITS_MAX = 6, 12


class TpmError(Exception):
    """The TPM does not take the PIN; the text is the program's own."""


def is_here(chip: Path = CHIP) -> bool:
    """Whether this machine has a TPM 2.0 that the kernel knows."""
    return chip.exists()


def enrol(device: Path, passphrase: str, pin: str, memory: Path, tpm: str = "auto") -> None:
    """One more key slot, whose key the TPM gives out for the PIN; passphrase and recovery key stay.

    Args:
        device: A LUKS2 partition.
        passphrase: Opens it.
        pin: Asked for at every start from now on.
        memory: A folder that never reaches a disk.
        tpm: As ``systemd-cryptenroll`` names it.

    Raises:
        TpmError: If it was not enrolled; the partition opens as before.
    """
    with tempfile.NamedTemporaryFile(dir=memory) as file:
        file.write(passphrase.encode("utf-8"))
        file.flush()
        argv = (
            "systemd-cryptenroll",
            f"--unlock-key-file={file.name}",
            f"--tpm2-device={tpm}",
            "--tpm2-with-pin=yes",
            "--tpm2-pcrs=",
            str(device),
        )
        environment = {**os.environ, "NEWPIN": pin}
        try:
            done = subprocess.run(
                argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise TpmError(f"{argv[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise TpmError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}")
