"""Which waiting items go next; pure over the short ordered list that the store offers.

Previews of STAT studies, STAT studies, previews of the rest, the rest; inside a class by age, so that what waits
longest is at the front sooner or later. Items of one study stay together, because a half study is of little use to a
radiologist. Under a stream of urgent studies that never ends one turn in a few belongs to the oldest routine item.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.domain.limits import LimitSet
from appliance.domain.values import OutboxItem, Priority, TrafficClass
from sync.core.allowance import Wall
from sync.core.effects import Step

RANK = {each: rank for rank, each in enumerate(TrafficClass)}
"""The lower, the more urgent."""


def class_of(item: OutboxItem, announces: bool) -> TrafficClass:
    """What sending this item next is, at a destination that ``announces`` or does not."""
    stat = item.priority is Priority.STAT
    if announces and not item.announced:
        return TrafficClass.STAT_PREVIEW if stat else TrafficClass.PREVIEW
    return TrafficClass.STAT if stat else TrafficClass.FULL


def step_of(traffic_class: TrafficClass) -> Step:
    """What a transfer of this class tells of its items."""
    return Step.ANNOUNCE if traffic_class in (TrafficClass.STAT_PREVIEW, TrafficClass.PREVIEW) else Step.FULL


def choose(candidates: Sequence[OutboxItem], limits: LimitSet, announces: bool = False) -> tuple[OutboxItem, ...]:
    """The next batch, in the order in which it shall be sent.

    Args:
        candidates: Waiting items of one destination, best first; none of them in flight or in back-off.
        limits: ``transfer_item_count_max``, or ``announce_item_count_max`` where only previews go, and
            ``transfer_bytes_max`` bound the batch; the bytes are those of the stored files also where previews go,
            since all of them are read before.
        announces: Whether the destination shows previews.

    Returns:
        The first candidate of the most urgent class, its study's other items, then the next study's, all of one class;
        empty when there is no candidate. An item above ``transfer_bytes_max`` goes alone, when its turn comes.
    """
    if not candidates:
        return ()
    classes = {item.item_id: class_of(item, announces) for item in candidates}
    lead = min(candidates, key=lambda item: RANK[classes[item.item_id]])  # the first one: min keeps the order
    lead_class = classes[lead.item_id]
    announcing = step_of(lead_class) is Step.ANNOUNCE
    item_count_max = limits.announce_item_count_max if announcing else limits.transfer_item_count_max
    batch = [lead]
    size_bytes = lead.size_bytes
    for item in _by_study(lead, [item for item in candidates if classes[item.item_id] is lead_class]):
        if len(batch) >= item_count_max or size_bytes >= limits.transfer_bytes_max:
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


def is_old(item: OutboxItem, wall: Wall | None, now: float, limits: LimitSet) -> bool:
    """Whether it waited so long that it may go before what is more urgent.

    An age by a clock that nobody believes is no age: then every item counts as old, which costs STAT one append in
    ``aging_turn_period`` turns, and starves nothing.
    """
    if wall is None or not wall.verified:
        return True
    return wall.wall_at(now) - item.queued_at_s >= limits.aging_s


def has_stat(items: Sequence[OutboxItem]) -> bool:
    """Whether any of these is STAT."""
    return any(item.priority is Priority.STAT for item in items)
