"""What people are told of releases: one line for what became of the last."""

from __future__ import annotations

from appliance.domain.wording import Wording, told
from appliance.update.release import Why
from appliance.update.status import State, Status

WHY: dict[str, Wording] = {
    Why.NOT_WHOLE: told("a part of it is missing"),
    Why.NOT_SIGNED: told("it is not signed by a key that this unit knows"),
    Why.NOT_WELL_FORMED: told("its list cannot be read"),
    Why.OTHER_IMAGE: told("it is for another kind of machine"),
    Why.NOT_NEWER: told("it is not newer than what this unit has had"),
    Why.DAMAGED: told("it is damaged"),
}


def refusal(version: int, why: str) -> Wording:
    """Of a release, by ``Why``; one of a later release of ours is no word here."""
    reason = WHY.get(why, told("it cannot be used"))
    if version == 0:
        return told("The release that came is refused: {why}.", why=reason)
    return told("Release {version} is refused: {why}.", version=version, why=reason)


def status_line(status: Status | None, running: int, boot_id: str) -> Wording | None:
    """What became of the release that came last; ``None`` when that is no news any more.

    Args:
        status: As ``qafila update`` wrote it.
        running: Version of the running release.
        boot_id: Of this start of the machine.
    """
    if status is None or (status.version <= running and status.boot_id != boot_id):
        return None
    match status.state:
        case State.REFUSED:
            return refusal(status.version, status.why)
        case State.INSTALLING if status.boot_id == boot_id:
            return told("Release {version} is being installed.", version=status.version)
        case State.INSTALLED if status.boot_id == boot_id:
            return told("Release {version} is installed and starts at the next power-on.", version=status.version)
        case State.INSTALLED:
            # A start takes the newest release that has tries left: this is not it, so it had none.
            return told(
                "Release {version} did not work on this unit; release {running} goes on.",
                version=status.version,
                running=running,
            )
        case _:
            return told(
                "Release {version} could not be installed; release {running} goes on.",
                version=status.version,
                running=running,
            )
