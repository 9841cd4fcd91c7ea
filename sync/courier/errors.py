"""What goes wrong with a stick; each says what it means for whoever carries it."""

from __future__ import annotations

from enum import StrEnum


class StickFault(StrEnum):
    """What the medium did."""

    FULL = "full"
    READ_ONLY = "read-only"
    GONE = "gone"
    """Pulled out, or broken: reads or writes fail."""
    DAMAGED = "damaged"
    """Its file system contradicts itself."""
    DENIED = "denied"
    STRANGE = "strange"
    """Something stands where only our files belong: a link, a device, a folder of somebody else's."""


class StickError(Exception):
    """The stick cannot be used for this.

    Attributes:
        fault: What the medium did.
        detail: For the service person; never from a patient.
    """

    def __init__(self, fault: StickFault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class FormatError(Exception):
    """Something on a stick is damaged, hostile, beyond a limit or not for us; a sentence without patient identity."""


class NotForUs(FormatError):
    """It was encrypted to somebody else."""
