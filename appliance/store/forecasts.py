"""Reads what each destination is owed, study by study, and how fast its link is, for the estimates of people."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping

from appliance.domain.eta import Goodput
from appliance.domain.forecast import Forecasts, Owed, WayOut, forecast
from appliance.domain.leave import Leave
from appliance.domain.values import LinkState, TrafficClass
from appliance.store.connect import Store

_OWED = """SELECT o.destination, i.study_instance_uid, max(o.stat), min(o.queued_at_s),
        coalesce(sum(o.coded_bytes) FILTER (WHERE moves), 0),
        coalesce(sum(o.size_bytes) FILTER (WHERE moves AND o.coded_bytes = 0), 0),
        coalesce(sum(o.size_bytes) FILTER (WHERE moves), 0),
        count(*) FILTER (WHERE moves AND o.announced_at = ''), count(*) FILTER (WHERE moves),
        count(*) FILTER (WHERE o.state IN ('held', 'rejected')), count(*) FILTER (WHERE o.state = 'sent')
    FROM (SELECT *, state IN ('pending', 'encoding', 'ready', 'sending') AS moves FROM outbox
        WHERE state <> 'confirmed') AS o CROSS JOIN instance AS i ON i.instance_id = o.instance_id
    WHERE i.instance_id NOT IN (SELECT instance_id FROM rejected_image WHERE lifted_at = '')
    GROUP BY o.destination, i.study_instance_uid"""


def read_forecasts(
    db: Store,
    announces: Mapping[str, bool],
    leave: Mapping[TrafficClass, Leave],
    in_flight_bytes_by_item: Mapping[int, int],
) -> Forecasts:
    """When what waits will be at the centre. Call it inside ``read(db)``.

    Args:
        db: The unit's database.
        announces: The configured destinations, and whether each shows previews.
        leave: What may go over the present link; classes that are left out may go.
        in_flight_bytes_by_item: As ``LiveFacts``.
    """
    owed = _owed(db, announces, in_flight_bytes_by_item)
    links = link_rows(db)
    ways = []
    for name, studies in owed.items():
        state, goodput = links.get(name, (LinkState.UNKNOWN, None))
        ways.append(WayOut(name in announces, state, goodput, leave, studies))
    return forecast(ways)


def link_rows(db: Store) -> dict[str, tuple[LinkState, Goodput | None]]:
    """State and measured goodput of each link."""
    rows = db.rows("SELECT destination, state, rate_low_bytes_per_s, rate_bytes_per_s, rate_high_bytes_per_s FROM link")
    return {row[0]: (LinkState(row[1]), Goodput(*row[2:]) if row[3] > 0 else None) for row in rows}


def _owed(
    db: Store, announces: Mapping[str, bool], in_flight_bytes_by_item: Mapping[int, int]
) -> dict[str, list[Owed]]:
    packing = _packing(db)
    flying = _flying(db, in_flight_bytes_by_item)
    found: dict[str, list[Owed]] = defaultdict(list)
    for name, uid, stat, queued_at_s, coded, uncoded, stored, unannounced, moving, held, unproved in db.rows(_OWED):
        link_bytes = coded + uncoded * packing.get(name, 1.0)
        left = max(0, stored - flying.get((name, uid), 0))
        found[name].append(
            Owed(
                study_instance_uid=uid,
                stat=bool(stat),
                queued_at_s=queued_at_s,
                link_bytes=link_bytes * left / stored if stored else 0.0,
                unannounced_count=unannounced if announces.get(name) else 0,
                waiting_count=moving,
                held_count=held,
                unproved_count=unproved,
            )
        )
    return found


def _packing(db: Store) -> dict[str, float]:
    """Bytes on the link for each stored one, by destination, where something was coded for it."""
    return dict(
        db.rows(
            "SELECT destination, 1.0 * coded_bytes_sum / plain_bytes_sum FROM link"
            " WHERE plain_bytes_sum > 0 AND coded_bytes_sum > 0"
        )
    )


def _flying(db: Store, bytes_by_item: Mapping[int, int]) -> dict[tuple[str, str], int]:
    """Bytes of stored files that are over already, by destination and study."""
    flying: dict[tuple[str, str], int] = defaultdict(int)
    for name, uid, item_id in db.rows(
        """SELECT destination, study_instance_uid, item_id FROM outbox_item
            WHERE item_id IN (SELECT value FROM json_each(?)) AND state = 'sending'""",
        (json.dumps(list(bytes_by_item)),),
    ):
        flying[name, uid] += bytes_by_item[item_id]
    return flying
