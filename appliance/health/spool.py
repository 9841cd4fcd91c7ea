"""How full the encoder's spool is: parts of stored files, ahead of the link. A full one is fine, for it gives way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from appliance.domain.limits import LimitSet
from appliance.domain.sentences import size
from appliance.health.check import Level, Result, Subject


def check(subject: Subject) -> Iterable[Result]:
    """One answer; none on a unit that never prepared anything."""
    folder = subject.config.data_dir / "spool"
    if not folder.is_dir():
        return []
    return [judge(*_counted(folder), subject.config.limits)]


def judge(kept_bytes: int, file_count: int, limits: LimitSet) -> Result:
    """What lies there, in words."""
    sentence = (
        f"{size(kept_bytes)} of {size(limits.encoder_spool_bytes_max)} hold {file_count} of "
        f"{limits.encoder_spool_entry_count_max} files prepared for sending."
    )
    facts: dict[str, int | float | str] = {
        "kept_bytes": kept_bytes,
        "kept_bytes_max": limits.encoder_spool_bytes_max,
        "file_count": file_count,
        "file_count_max": limits.encoder_spool_entry_count_max,
    }
    return Result("spool", Level.FINE, sentence, "", facts)


def _counted(folder: Path) -> tuple[int, int]:
    kept_bytes = file_count = 0
    for entry in folder.glob("[0-9a-f][0-9a-f]/*"):
        try:
            kept_bytes += sum(part.stat().st_size for part in entry.iterdir())
        except OSError:  # it went meanwhile
            continue
        file_count += 1
    return kept_bytes, file_count
