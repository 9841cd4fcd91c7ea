"""From a re-read instance to evidence or a failure; the same rule for every way of reading back.

Different bytes are judged only after a second reading gave the same ones: a link without TLS may corrupt one reading,
and a person must not be called for that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.domain.failure import Failure
from appliance.domain.values import Evidence
from sync.adapters.base import Checked, SendItem
from sync.adapters.compare import Comparison, Verdict, compare, compare_again
from sync.adapters.failures import failure

EXPANSION_MAX = 32
"""How much larger than ours an answer may be: a centre may have stored a compressed picture uncompressed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One instance as the destination gave it back."""

    comparison: Comparison
    sha256: str
    size_bytes: int


def compared(item: SendItem, theirs: Path) -> Comparison:
    """What they gave back, against our file or what an earlier proof showed of it.

    Raises:
        OSError: If a file cannot be read.
    """
    return compare(item.path, theirs) if item.earlier is None else compare_again(item.earlier, theirs)


def prove(item: SendItem, method: str, read: Callable[[], Reading | None]) -> Checked:
    """Read, compare, and read again before calling it different.

    Args:
        item: The instance to prove.
        method: Name of the way of reading, kept in the evidence.
        read: Retrieves the instance; ``None`` when the destination does not hold it.

    Raises:
        Failed: Whatever ``read`` raises.
    """
    try:
        first = read()
        if first is None:
            return Checked(item.item_id, failure=failure("absent"), absent=True)
        if first.comparison.equal:
            return Checked(item.item_id, evidence=_evidence(item, method, first))
        second = read()
    except FileNotFoundError:
        # It may just have left this unit, by a proof that was complete: that says nothing against the destination.
        return Checked(item.item_id, failure=failure("nothing-to-compare"))
    except OSError:
        return Checked(item.item_id, failure=failure("work-dir"))
    if second is not None and second.comparison.equal:
        return Checked(item.item_id, evidence=_evidence(item, method, second))
    if second is None or second.sha256 != first.sha256:
        return Checked(item.item_id, failure=failure("reread-unstable"))
    return Checked(item.item_id, failure=_difference(item, first.comparison))


def _difference(item: SendItem, comparison: Comparison) -> Failure:
    if comparison.verdict is Verdict.UNREADABLE:
        return failure("not-comparable")
    return failure("kept-earlier" if item.replaces else "digest-mismatch")


def _evidence(item: SendItem, method: str, reading: Reading) -> Evidence:
    comparison = reading.comparison
    detail = (
        ("compared", comparison.verdict.value),
        ("read_sha256", reading.sha256),
        ("read_bytes", str(reading.size_bytes)),
        ("transfer_syntax_uid", comparison.transfer_syntax_uid),
    )
    return Evidence(method, item.sha256, comparison.dataset_sha256, comparison.pixel_sha256, detail)
