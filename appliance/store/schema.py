"""Draws ``schema.sql``, the picture of both databases for people; ``python -m appliance.store.schema`` renews it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from appliance.store.connect import migrate_one, open_door_reader, open_reader
from appliance.store.release import DOOR, UNIT

PICTURE = Path(__file__).with_name("schema.sql")


def draw() -> str:
    """The statements that make both fresh databases, as migrated by this release."""
    parts = ["-- Drawn by 'python -m appliance.store.schema' from migrations/; change that, never this.\n"]
    with tempfile.TemporaryDirectory() as folder:
        for schema, opener in ((UNIT, open_reader), (DOOR, open_door_reader)):
            path = Path(folder) / f"{schema.name}.db"
            migrate_one(path, schema)
            with opener(path) as db:
                statements = db.rows("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name")
            parts.append(f"\n-- {schema.name}.db\n")
            parts.extend(f"\n{statement};\n" for (statement,) in statements)
    return "".join(parts)


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
