"""The promises to a modality, checked from outside: with its own record of what it was told, SQLite and plain files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from appliance.config import blob_path
from tests.support.world import Centre, Told, Unit, pixel_sha256, query


def settled(unit: Unit, told: Iterable[Told]) -> bool:
    """Whether the unit shows everything it was given as delivered, and lacks nothing that it acknowledged."""
    confirmed = unit.confirmed_uids()
    return {each.sop_instance_uid for each in told} <= confirmed and unit.known_uids() == confirmed


def shown_but_not_there(unit: Unit, centre: Centre) -> list[str]:
    """Instances that the unit shows as delivered and the centre does not hold."""
    shown = unit.confirmed_uids() if unit.config.unit_db.exists() else set()
    return [f"shown as delivered but not at the centre: {uid}" for uid in shown - set(centre.holdings())]


def kept_faults(unit: Unit, told: Iterable[Told]) -> list[str]:
    """What is wrong on the unit's own disk with anything that was acknowledged."""
    rows = {
        str(uid): (str(blob), str(digest))
        for uid, blob, digest in query(unit.config.unit_db, "SELECT sop_instance_uid, blob_uuid, sha256 FROM instance")
    }
    faults = []
    for each in told:
        if each.sop_instance_uid not in rows:
            faults.append(f"acknowledged but unknown to the unit: {each.sop_instance_uid}")
            continue
        blob_uuid, digest = rows[each.sop_instance_uid]
        body = blob_path(unit.config.blob_dir, blob_uuid)
        if not body.exists() or hashlib.sha256(body.read_bytes()).hexdigest() != digest:
            faults.append(f"acknowledged but its file is missing or damaged: {each.sop_instance_uid}")
    return faults


def centre_faults(centre: Centre, told: Iterable[Told], known_good: set[str] | None = None) -> list[str]:
    """What is wrong at the centre; UIDs found right are added to ``known_good`` and not fetched again."""
    good = known_good if known_good is not None else set()
    holdings = centre.holdings()
    faults = [f"{count} copies of {uid} at the centre" for uid, count in holdings.items() if count != 1]
    for each in told:
        uid = each.sop_instance_uid
        if uid not in holdings:
            faults.append(f"acknowledged but not at the centre: {uid}")
        elif uid not in good:
            if pixel_sha256(centre.file(uid)) != each.pixel_sha256:
                faults.append(f"other pixels at the centre: {uid}")
            good.add(uid)
    return faults
