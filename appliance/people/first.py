"""The first person of an appliance: named at its first boot, when there are no records yet, and taken in later."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance import handed
from appliance.handed import SUPERVISOR, FirstPerson
from appliance.logging import log
from appliance.store.connect import Store
from appliance.store.people import Role, add_first


def take_in(db: Store, folder: Path) -> None:
    """Enter whoever was handed over, where nobody was ever listed; again and again makes no difference.

    Raises:
        StoreError: If it cannot be written; the file stays.
        OSError: If the file cannot be read or removed.
    """
    path = folder / SUPERVISOR
    try:
        person = msgspec.json.decode(path.read_bytes(), type=FirstPerson)
    except FileNotFoundError:
        return
    except msgspec.DecodeError as error:
        log("people", "the first boot's supervisor cannot be read, so nobody has to sign in", why=error)
    else:
        if add_first(db, db.stamp(), person.name, Role.SUPERVISOR, person.pin_hash, "first-boot"):
            log("people", "the first boot's supervisor may sign in")
    handed.remove(path)
