"""DICOM peers in this process that answer as a test tells them: statuses, aborts, refusals, commitment that lies."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, AllTransferSyntaxes, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_role

from sync.adapters.services import COMMITMENT, COMMITMENT_INSTANCE, VERIFICATION

OnStore = Callable[[Any], int]


def accept_all(event: Any) -> int:
    """Store nothing, say success."""
    return 0x0000


class DicomPeer:
    """A C-STORE SCP, with Storage Commitment when ``on_commit`` is given.

    Args:
        classes: SOP classes it accepts.
        syntaxes: Transfer syntaxes it accepts.
        on_store: Gives the status of each C-STORE.
        on_commit: Gets the action information and the association of a request; returns its status.
        context: For TLS.
        called_ae_title: When given, others are refused.
    """

    def __init__(
        self,
        classes: Sequence[str],
        syntaxes: Sequence[str] = AllTransferSyntaxes,
        on_store: OnStore = accept_all,
        on_commit: Callable[[Dataset, Association], int] | None = None,
        context: ssl.SSLContext | None = None,
        called_ae_title: str = "",
    ) -> None:
        self.stored: list[str] = []
        self.received: list[tuple[str, bytes]] = []
        self.association_count = 0
        self._on_store = on_store
        self._on_commit = on_commit
        ae = AE(called_ae_title or "CENTRE")
        ae.require_called_aet = bool(called_ae_title)
        contexts = [_context(VERIFICATION, [ImplicitVRLittleEndian])]
        contexts += [_context(each, syntaxes) for each in classes]
        if on_commit:
            contexts.append(_context(COMMITMENT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]))
        self._server = ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            contexts=contexts,
            ssl_context=context,
            evt_handlers=[
                (evt.EVT_ACCEPTED, self._count),
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_N_ACTION, self._action),
            ],
        )
        assert self._server is not None
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> DicomPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        for association in self._server.active_associations:
            association.abort()

    def _count(self, event: Any) -> None:
        self.association_count += 1

    def _store(self, event: Any) -> int:
        status = self._on_store(event)
        self.received.append((str(event.context.transfer_syntax), event.encoded_dataset(include_meta=False)))
        if status == 0x0000:
            self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return status

    def _action(self, event: Any) -> tuple[int, None]:
        assert self._on_commit
        return self._on_commit(event.action_information, event.assoc), None


def report(transaction_uid: str, promised: Sequence[str], failed: dict[str, int]) -> Dataset:
    """The information of a commitment report."""
    information = Dataset()
    information.TransactionUID = transaction_uid
    if promised:
        information.ReferencedSOPSequence = [_reference(uid) for uid in promised]
    if failed:
        information.FailedSOPSequence = [_reference(uid, reason) for uid, reason in failed.items()]
    return information


def report_on(association: Association, information: Dataset) -> threading.Thread:
    """Send a report on the association of the request, as soon as the request has been answered."""

    def send() -> None:
        kind = 2 if "FailedSOPSequence" in information else 1
        association.send_n_event_report(information, kind, COMMITMENT, COMMITMENT_INSTANCE)

    thread = threading.Timer(0.2, send)
    thread.start()
    return thread


def report_to(port: int, called_ae_title: str, information: Dataset) -> int:
    """Open an association to a listener, in the SCP role, and report; gives the answer's status."""
    ae = AE("CENTRE")
    ae.add_requested_context(COMMITMENT, [ExplicitVRLittleEndian])
    role = build_role(COMMITMENT, scp_role=True)
    association = ae.associate("127.0.0.1", port, ae_title=called_ae_title, ext_neg=[role])
    assert association.is_established, "the listener did not accept the association"
    kind = 2 if "FailedSOPSequence" in information else 1
    status, _ = association.send_n_event_report(information, kind, COMMITMENT, COMMITMENT_INSTANCE)
    association.release()
    return int(status.Status)


def _context(abstract_syntax: str, syntaxes: Sequence[str]) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = UID(abstract_syntax)
    context.transfer_syntax = [UID(each) for each in syntaxes]
    return context


def _reference(uid: str, reason: int | None = None) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    reference.ReferencedSOPInstanceUID = uid
    if reason is not None:
        reference.FailureReason = reason
    return reference
