"""How much is not yet safe at the centre; what people are shown, and what the centre is told."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.store.connect import Store
from appliance.store.withheld import IS_WITHHELD

IS_UNSENT = f"""(owed_count = 0 OR confirmed_count < owed_count)
    AND instance_id NOT IN (SELECT instance_id FROM rejected_image WHERE lifted_at = '')
    AND study_instance_uid NOT IN ({IS_WITHHELD})"""  # noqa: S608 - our own text
"""A condition on ``instance``."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """Instances that some destination has not proved to hold."""

    study_count: int
    instance_count: int
    size_bytes: int
    oldest_received_at: str
    """UTC text; empty when there is none."""


def unsent(db: Store) -> Unsent:
    """All of it; a rejected image and a withheld study are not waited for."""
    return Unsent(
        *db.rows(
            f"""SELECT count(DISTINCT study_instance_uid), count(*), coalesce(sum(size_bytes), 0),
                    coalesce(min(received_at), '')
                FROM instance INDEXED BY instance_unsafe WHERE {IS_UNSENT}"""  # noqa: S608 - our own text
        )[0]
    )
