"""Finds a study by the part of its UID that a person typed."""

from __future__ import annotations

from appliance.store.connect import Store


def study_uids_like(db: Store, part: str, limit: int) -> tuple[str, ...]:
    """Study Instance UIDs that begin or end with ``part``, the exact one first; none for what is no part of a UID."""
    if not part or any(char not in "0123456789." for char in part):
        return ()
    rows = db.rows(
        """SELECT study_instance_uid FROM study
            WHERE study_instance_uid LIKE ?1 || '%' OR study_instance_uid LIKE '%' || ?1
            ORDER BY study_instance_uid <> ?1, study_instance_uid LIMIT ?2""",
        (part, limit),
    )
    return tuple(row[0] for row in rows)
