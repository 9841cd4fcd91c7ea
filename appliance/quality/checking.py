"""The checks' step: the newest picture first, one question to the child, one transaction with what it found.

Nothing here reads a picture. A child that dies costs one attempt at one file, and a kill of this process one check.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from appliance.clock import Clock, local_zone
from appliance.config import UnitConfig
from appliance.dicom.bounded_child import BoundedChild, ChildError
from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.domain.values import LocalState
from appliance.health.clock_doubt import KIND as CLOCK_UNVERIFIED
from appliance.health.clock_doubt import SUBJECT as CLOCK
from appliance.logging import log
from appliance.orthanc.background import Worker
from appliance.quality.version import CHECKS_VERSION
from appliance.registration.folding import words as folded_words
from appliance.store.connect import Store, data_version, open_unit
from appliance.store.findings import clear_finding, note_finding, open_kinds, open_subjects
from appliance.store.quality import DueInstance, Outcome, alarmed_studies, look_again, next_due, note_attempt, save_run
from appliance.store.quality_holds import let_checked_go, set_gate, settle_holds
from appliance.store.quality_orders import OrderRow, order_of_study, recently_compared
from appliance.store.revisions import latest_content
from appliance.stored import stored_path

POLL_S = 0.2
COMPARE_S = 5.0
"""How often the orders of the newest studies are looked at for changes, when anything changed at all."""
COMPARE_STUDY_COUNT = 100
"""About two days of a busy unit; what is older was sent with what was known then."""
ALARM_KIND = "quality-alarm"
_TRY_AGAIN = frozenset({"parser-died", "parser-stalled", "memory", "io-error"})
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Each thread of a numerical library reserves address space, and the other core belongs to reception."""


@dataclass
class Checking:
    """Follows ``unit.db``; see ``Worker``."""

    config: UnitConfig
    db: Store
    child: BoundedChild
    clock: Clock
    _seen_version: int = field(init=False, default=-1)
    _compared_mono_s: float = field(init=False, default=float("-inf"))
    _is_news: bool = field(init=False, default=True)

    def step(self) -> float:
        """As ``Worker.step``: one picture, or a look at what changed."""
        version = data_version(self.db)
        if version == self._seen_version and not self._is_news:
            self.child.reap()
            return POLL_S
        due = next_due(self.db, CHECKS_VERSION)
        if due is not None:
            self._check(due)
            self._settle()
            return 0.0
        self._seen_version = version
        self._is_news = self._compare_again()
        self._settle()
        return POLL_S

    def _check(self, due: DueInstance) -> None:
        order = order_of_study(self.db, due.study_instance_uid)
        found = latest_content(self.db, due.sop_instance_uid)
        if found is None or found[1] is not LocalState.PRESENT:
            self._save(due, "", order, "gone", ())
            return
        instance = found[0]
        limits = self.config.limits
        answer_s_max = limits.quality_answer_s_max + instance.size_bytes / limits.quality_rate_bytes_per_s_min
        try:
            answer = self.child.ask(self._question(due, stored_path(self.config, instance), order), answer_s_max)
            findings = msgspec.convert(answer["findings"], tuple[Finding, ...])
        except ChildError as error:
            self._note_failure(due, instance.blob_uuid, order, error.code)
        except (KeyError, msgspec.ValidationError):
            # The child read untrusted bytes: an answer of another shape is no answer.
            self.child.close()
            self._note_failure(due, instance.blob_uuid, order, "parser-died")
        else:
            self._save(due, instance.blob_uuid, order, "checked", findings)

    def _note_failure(self, due: DueInstance, blob_uuid: str, order: OrderRow | None, code: str) -> None:
        log("unit.quality", "not checked", sop_instance_uid=due.sop_instance_uid, why=code)
        if code == "missing":
            self._save(due, blob_uuid, order, "gone", ())
        elif code in _TRY_AGAIN and due.attempt_count + 1 < self.config.limits.quality_attempt_count_max:
            note_attempt(self.db, due)
        else:
            finding = Finding(CheckCode.NOT_CHECKED, Severity.WARNING, {"why": code})
            self._save(due, blob_uuid, order, "failed", (finding,))

    def _save(
        self, due: DueInstance, blob_uuid: str, order: OrderRow | None, outcome: Outcome, findings: tuple[Finding, ...]
    ) -> None:
        save_run(
            self.db,
            self.db.stamp(),
            due,
            checks_version=CHECKS_VERSION,
            blob_uuid=blob_uuid,
            order_digest=order_digest(order),
            outcome=outcome,
            findings=findings,
        )

    def _question(self, due: DueInstance, path: Path, order: OrderRow | None) -> dict[str, Any]:
        received_at = datetime.fromisoformat(due.received_at)
        return {
            "path": str(path),
            "bands": msgspec.to_builtins(self.config.quality),
            "sample_count_max": self.config.limits.quality_sample_count_max,
            "received_at": received_at.astimezone(local_zone(received_at.timestamp())).isoformat(),
            "is_clock_doubted": CLOCK_UNVERIFIED in open_kinds(self.db, CLOCK),
            "order": order_words(order) if order else None,
        }

    def _compare_again(self) -> bool:
        """Let studies be checked anew whose order or file became another one; whether to come again soon."""
        now_s = self.clock.mono_s()
        if now_s - self._compared_mono_s < COMPARE_S:
            return True
        self._compared_mono_s = now_s
        again = False
        for study in recently_compared(self.db, COMPARE_STUDY_COUNT):
            digest = order_digest(order_of_study(self.db, study.study_instance_uid))
            if study.is_other_file or study.order_digests != {digest}:
                look_again(self.db, study.study_instance_uid)
                again = True
        return again

    def _settle(self) -> None:
        """Holds of the policy, and one line a study for ``qafila status`` and the screen."""
        settle_holds(self.db, self.db.stamp(), self.config.quality.hold)
        let_checked_go(self.db)
        alarmed, said = set(alarmed_studies(self.db)), set(open_subjects(self.db, ALARM_KIND))
        for study_instance_uid in alarmed - said:
            note_finding(
                self.db,
                kind=ALARM_KIND,
                subject_id=study_instance_uid,
                sentence="A picture of this study should be looked at before the patient leaves: 'qafila quality' says "
                "why. It is stored safely.",
                severity="alarm",
            )
        for study_instance_uid in said - alarmed:
            clear_finding(self.db, kind=ALARM_KIND, subject_id=study_instance_uid, actor="quality")


def order_words(order: OrderRow) -> dict[str, Any]:
    """An order as the child is told it: names as folded words."""
    words: dict[str, Any] = msgspec.to_builtins(order)
    words["names"] = sorted(folded_words(" ".join(order.names)))
    return words


def order_digest(order: OrderRow | None) -> str:
    """Another text when anything that is compared became another; empty without an order.

    A checksum is enough: only an earlier order of the same study is compared with it, and hashlib costs 3.5 MB.
    """
    if order is None:
        return ""
    return f"{zlib.crc32(json.dumps(order_words(order), sort_keys=True).encode()):08x}"


@contextmanager
def open_checking(config: UnitConfig, clock: Clock) -> Iterator[Worker]:
    """The step over fresh handles.

    Raises:
        StoreError: If the database cannot be opened.
    """
    limits = config.limits
    with ExitStack() as stack:
        db = stack.enter_context(open_unit(config.unit_db, clock=clock))
        set_gate(db, bool(config.quality.hold))
        child = BoundedChild(
            "appliance.quality.worker",
            (str(limits.quality_memory_bytes_max), str(limits.quality_idle_s_max)),
            _ONE_THREAD,
        )
        stack.callback(child.close)
        yield Checking(config, db, child, clock)
