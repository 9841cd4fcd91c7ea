"""What a unit says it did about an answer, so that the pages can say it in their reader's language; pure."""

from __future__ import annotations

import re

SENTENCES = (
    "On the unit's worklist as %(number)s.",
    "The exam was registered on the unit already, as %(number)s; that one stands.",
    "A name, number or date of the order cannot be used on this unit.",
    "The unit's exam catalogue cannot be read.",
    "The unit's catalogue has no such exam.",
    "The order does not say which side.",
    "Several people on this unit go by the number of the order.",
    "The number of the order belongs to somebody else on this unit.",
    "It is kept; register it by hand where it is right.",
    "This unit's release does not understand it; it is kept as it came.",
    "This study is not on the unit.",
    "The study is sent first from now on.",
)
"""As units of this release write them, in English; said in the visitor's language. Others are shown as they come."""
_PATTERNS = [
    (re.compile(re.escape(words).replace(re.escape("%(number)s"), r"(?P<number>\S+)") + r"\s*"), words)
    for words in SENTENCES
]
Said = tuple[str, dict[str, str]]


def sentences_of(outcome: str) -> tuple[Said, ...]:
    """The sentences of an outcome with their values; of what another release says, all of it as one."""
    found: list[Said] = []
    rest = outcome.strip()
    while rest:
        match, words = next(((m, words) for pattern, words in _PATTERNS if (m := pattern.match(rest))), (None, ""))
        if match is None:
            return ((outcome.strip(), {}),)
        found.append((words, match.groupdict()))
        rest = rest[match.end() :]
    return tuple(found)
