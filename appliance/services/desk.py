"""Who asked for what on which association: shared by the server's threads and the one that reports."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode

from sync.adapters.services import COMMITMENT, COMMITMENT_INSTANCE


@dataclass
class Asked:
    """An association on which a commitment was asked for."""

    association: Association
    context: Any
    """Its presentation context (pynetdicom's named tuple)."""
    answered_mono_s: float | None = None
    """When the request was acknowledged."""
    _answer: dict[int, int] = field(default_factory=dict)
    _heard: threading.Condition = field(default_factory=threading.Condition)

    @property
    def is_open(self) -> bool:
        return bool(self.association.is_established)

    def report(self, message_id: int, event_type: int, report: Dataset, timeout_s: float) -> int | None:
        """N-EVENT-REPORT; the status it is answered with, ``None`` when there was no answer.

        pynetdicom's own ``send_n_event_report`` stops serving the association until the answer is there, and aborts it
        when the device rather wants to release it. Here the reactor goes on, and the answer comes by its event.
        """
        request = N_EVENT_REPORT()
        request.MessageID = message_id
        request.AffectedSOPClassUID = UID(COMMITMENT)
        request.AffectedSOPInstanceUID = UID(COMMITMENT_INSTANCE)
        request.EventTypeID = event_type
        syntax = UID(self.context.transfer_syntax)
        data = encode(report, syntax.is_implicit_VR, syntax.is_little_endian)
        if data is None or not self.is_open:
            return None
        request.EventInformation = BytesIO(data)
        self.association.dimse.send_msg(request, self.context.context_id)
        with self._heard:
            self._heard.wait_for(lambda: message_id in self._answer or not self.is_open, timeout_s)
            return self._answer.get(message_id)

    def hear(self, message_id: int, status: int) -> None:
        """The device has answered a report."""
        with self._heard:
            self._answer[message_id] = status
            self._heard.notify_all()

    def end(self) -> None:
        """The association is gone."""
        with self._heard:
            self._heard.notify_all()


class Desk:
    """The requests of this process's life, by id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[int, Asked] = {}
        self._news: set[int] = set()

    def ask(self, request_id: int, asked: Asked) -> None:
        """A request was recorded; its report waits until the request is acknowledged."""
        with self._lock:
            self._asked[request_id] = asked

    def acknowledged(self, association: Association, now_mono_s: float) -> None:
        """What was asked on an association is acknowledged: reports may go."""
        with self._lock:
            for request_id, asked in self._asked.items():
                if asked.association is association and asked.answered_mono_s is None:
                    asked.answered_mono_s = now_mono_s
                    self._news.add(request_id)

    def heard(self, association: Association, message_id: int, status: int) -> None:
        """A device has answered a report on an association of its own."""
        for asked in self._of(association):
            asked.hear(message_id, status)

    def ended(self, association: Association) -> None:
        """An association is gone; what was asked on it is reported in another way."""
        gone = self._of(association)
        with self._lock:
            for request_id in [key for key, asked in self._asked.items() if asked.association is association]:
                del self._asked[request_id]
                self._news.add(request_id)
        for asked in gone:
            asked.end()

    def find(self, request_id: int) -> Asked | None:
        """The open association on which it was asked for last."""
        with self._lock:
            return self._asked.get(request_id)

    def take_news(self) -> set[int]:
        """Requests for which something has changed since the last call."""
        with self._lock:
            news, self._news = self._news, set()
        return news

    def _of(self, association: Association) -> list[Asked]:
        with self._lock:
            return [asked for asked in self._asked.values() if asked.association is association]
