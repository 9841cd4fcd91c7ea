"""Which waiting items go next; pure over the short ordered list that the store offers.

STAT before everything else, then by age, so that what waits longest is at the front sooner or later and nothing
starves. Items of one study stay together, because a half study is of little use to a radiologist.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.domain.limits import LimitSet
from appliance.domain.values import OutboxItem, Priority


def choose(candidates: Sequence[OutboxItem], limits: LimitSet) -> tuple[OutboxItem, ...]:
    """The next batch, in the order in which it shall be sent.

    Args:
        candidates: Waiting items of one destination, best first; none of them in flight or in back-off.
        limits: ``transfer_item_count_max`` and ``transfer_bytes_max`` bound the batch.

    Returns:
        The first candidate, its study's other items, then the next study's, all of one priority; empty when there
        is no candidate. An item above ``transfer_bytes_max`` goes alone, when its turn comes.
    """
    if not candidates:
        return ()
    lead = next((item for item in candidates if item.priority is Priority.STAT), candidates[0])
    if lead.size_bytes >= limits.transfer_bytes_max:
        return (lead,)
    batch = [lead]
    size_bytes = lead.size_bytes
    for item in _by_study(lead, [item for item in candidates if item.priority is lead.priority]):
        if len(batch) >= limits.transfer_item_count_max:
            break
        if size_bytes + item.size_bytes <= limits.transfer_bytes_max:
            batch.append(item)
            size_bytes += item.size_bytes
    return tuple(batch)


def _by_study(lead: OutboxItem, items: Sequence[OutboxItem]) -> list[OutboxItem]:
    """All items but the lead; its study first, then study by study in the order in which they appear."""
    rank: dict[str, int] = {lead.study_instance_uid: 0}
    for item in items:
        rank.setdefault(item.study_instance_uid, len(rank))
    others = [item for item in items if item.item_id != lead.item_id]
    return sorted(others, key=lambda item: rank[item.study_instance_uid])  # stable: keeps age order inside a study


def has_stat(items: Sequence[OutboxItem]) -> bool:
    """Whether any of these is STAT."""
    return any(item.priority is Priority.STAT for item in items)
