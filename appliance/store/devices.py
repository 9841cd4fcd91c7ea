"""When each device sent last."""

from __future__ import annotations

from appliance.store.connect import Store

RECENT_COUNT = 2000
"""Pictures looked at, the newest: a device that sent none of them has not sent for long."""


def last_sent_at(db: Store) -> dict[str, str]:
    """The newest ``received_at`` of each calling AE title among the last pictures."""
    rows = db.rows(
        """SELECT calling_ae_title, max(received_at)
            FROM (SELECT calling_ae_title, received_at FROM instance ORDER BY instance_id DESC LIMIT ?)
            GROUP BY calling_ae_title""",
        (RECENT_COUNT,),
    )
    return {str(title): str(at) for title, at in rows}
