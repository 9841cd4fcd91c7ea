"""Free space and free inodes against the floors at which the door warns, takes only STAT, and refuses."""

from __future__ import annotations

import os
from collections.abc import Iterable

from appliance.domain.limits import LimitSet
from appliance.domain.sentences import size
from appliance.domain.wording import told
from appliance.health.check import Level, Result, Subject

_ROOM_HINT = told("Make room: 'qafila evict --dry-run' explains what may go; or bring the unit to a good link.")


def check(subject: Subject) -> Iterable[Result]:
    """One answer for space, one for inodes where the file system counts them."""
    folder = subject.config.data_dir
    try:
        medium = os.statvfs(folder)
    except OSError as error:
        hint = told("Check unit.data_dir and that its disk is mounted; start the unit to make the folder.")
        sentence = told("The data folder {folder} cannot be used: {why}.", folder=folder, why=error.strerror)
        return [Result("disk", Level.ALARM, sentence, hint)]
    limits = subject.config.limits
    results = [judge_space(medium.f_bavail * medium.f_frsize, medium.f_blocks * medium.f_frsize, limits)]
    if medium.f_files:
        results.append(judge_inodes(medium.f_favail, medium.f_files, limits))
    if medium.f_flag & os.ST_RDONLY:
        hint = told("The disk may have failed; nothing new can be kept. Call the service, do not repair it yourself.")
        results.append(Result("disk", Level.ALARM, told("The disk is mounted read-only."), hint))
    return results


def judge_space(free_bytes: int, total_bytes: int, limits: LimitSet) -> Result:
    """Free space in words."""
    facts: dict[str, int | float | str] = {
        "free_bytes": free_bytes,
        "total_bytes": total_bytes,
        "free_bytes_floor": limits.free_bytes_floor,
    }
    said = told("{free} of {total} free", free=size(free_bytes), total=size(total_bytes))
    if free_bytes < limits.free_bytes_floor:
        return Result("disk", Level.ALARM, told("{said}: the door refuses new images.", said=said), _ROOM_HINT, facts)
    if free_bytes < limits.free_bytes_stat_only:
        return Result(
            "disk", Level.ALARM, told("{said}: only urgent studies should be taken now.", said=said), _ROOM_HINT, facts
        )
    if free_bytes < limits.free_bytes_warn:
        return Result("disk", Level.WARNING, told("{said}: it is getting full.", said=said), _ROOM_HINT, facts)
    return Result("disk", Level.FINE, told("{said}.", said=said), "", facts)


def judge_inodes(free_count: int, total_count: int, limits: LimitSet) -> Result:
    """Free inodes in words."""
    facts: dict[str, int | float | str] = {"free_inode_count": free_count, "free_inode_floor": limits.free_inode_floor}
    said = told("{count} of {total} files can still be made", count=free_count, total=total_count)
    if free_count < limits.free_inode_floor:
        return Result("inodes", Level.ALARM, told("{said}: the door refuses new images.", said=said), _ROOM_HINT, facts)
    if free_count < 2 * limits.free_inode_floor:
        return Result("inodes", Level.WARNING, told("{said}: few are left.", said=said), _ROOM_HINT, facts)
    return Result("inodes", Level.FINE, told("{said}.", said=said), "", facts)
