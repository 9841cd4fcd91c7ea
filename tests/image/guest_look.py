"""Runs inside the guest, with its Python alone: what is on this unit's disk. One JSON line.

Not part of the product, and free of its code: SQLite and plain files say what is there.
"""

import hashlib
import json
import pathlib
import sqlite3

UNIT = pathlib.Path("/data/unit")


def rows(name: str, sql: str) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(f"file:{UNIT / name}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def is_whole(blob: str, digest: str) -> bool:
    path = UNIT / "blobs" / blob[:2] / blob
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


SQL = """SELECT sop_instance_uid, blob_uuid, sha256, local_state, coalesce(
    (SELECT min(state = 'confirmed') FROM outbox WHERE outbox.instance_id = instance.instance_id), 0) FROM instance"""
marks = {}
for uid, blob, digest, local, confirmed in rows("unit.db", SQL):
    mark = "W" if is_whole(blob, digest) else {"evicted": "E"}.get(local, "X")
    marks[uid[-12:]] = mark + ("c" if confirmed else "-")
damaged = [
    name for name in ("unit.db", "door.db") for verdict in rows(name, "PRAGMA quick_check(1)") if verdict[0] != "ok"
]
print(json.dumps({"marks": " ".join(f"{uid}{mark}" for uid, mark in marks.items()), "damaged": damaged}))
