"""What each listed device asked on this run and how it was answered: kinds and numbers, for commissioning.

Titles are those of ``[[modality]]`` and of our own import, so what is kept is bounded by the configuration.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from appliance.gatekeeper.command import C_FIND_RQ, C_STORE_RQ, Command
from appliance.gatekeeper.worklist_answers import MODALITY_WORKLIST_FIND

ECHO, STORE, WORKLIST, QUERY, STEP, COMMITMENT, OTHER = (
    "echo",
    "store",
    "worklist",
    "query",
    "step",
    "commitment",
    "other",
)
_KINDS = {0x0030: ECHO, C_STORE_RQ: STORE, C_FIND_RQ: QUERY, 0x0140: STEP, 0x0120: STEP, 0x0130: COMMITMENT}
"""By command field (PS3.7 annex E.1); N-CREATE and N-SET go to MPPS, N-ACTION to Storage Commitment only."""
_CANCEL = 0xFE00
"""Of a worklist query: there were answers, though not all."""
_N_WARNINGS = frozenset((0x0001, 0x0107, 0x0116))


@dataclass(slots=True)
class Heard:
    """One device since the gatekeeper's start."""

    peer: str = ""
    """The address it came from last."""
    association_count: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    """Requests by kind that were answered with success or a warning."""
    failed: Counter[str] = field(default_factory=Counter)
    worklist_answer_count: int = 0
    """Entries, over all its queries."""


class Tally:
    """Shared by all associations of one process."""

    def __init__(self) -> None:
        self._heard: dict[str, Heard] = {}

    def associated(self, calling_ae_title: str, peer: str) -> None:
        """A device that is admitted has its association."""
        heard = self._of(calling_ae_title)
        heard.association_count += 1
        heard.peer = peer

    def pending(self, calling_ae_title: str, request: Command) -> None:
        """One entry of an answer that goes on."""
        if kind_of(request) == WORKLIST:
            self._of(calling_ae_title).worklist_answer_count += 1

    def answered(self, calling_ae_title: str, request: Command, status: int) -> None:
        """The last word about a request, by us or by whom it was relayed to."""
        heard = self._of(calling_ae_title)
        (heard.answered if _is_success(status) else heard.failed)[kind_of(request)] += 1

    def facts(self) -> dict[str, Any]:
        """For ``gatekeeper.live.json``, by calling AE title."""
        return {
            title: {
                "peer": heard.peer,
                "association_count": heard.association_count,
                "answered": dict(heard.answered),
                "failed": dict(heard.failed),
                "worklist_answer_count": heard.worklist_answer_count,
            }
            for title, heard in self._heard.items()
        }

    def _of(self, calling_ae_title: str) -> Heard:
        return self._heard.setdefault(calling_ae_title, Heard())


def kind_of(request: Command) -> str:
    """What a device wants, in one word."""
    if request.field == C_FIND_RQ and request.sop_class_uid == MODALITY_WORKLIST_FIND:
        return WORKLIST
    return _KINDS.get(request.field, OTHER)


def _is_success(status: int) -> bool:
    return status in (0x0000, _CANCEL) or status in _N_WARNINGS or 0xB000 <= status <= 0xBFFF
