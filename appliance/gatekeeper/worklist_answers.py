"""Makes right, on their way out, what Orthanc cannot say rightly in worklist answers; pure, and nothing is held back.

- It labels all answers alike, with its default encoding, whatever their bytes are; why it must is said in
  ``appliance.orthanc.worklist``. Specific Character Set (0008,0005) is the first element of an answer, so the station's
  own label is put on in the first fragment of each.
- To a cancelled query DCMTK, which is in Orthanc, sends the final status together with an answer that must not be there
  (``DIMSE_findProvider`` deletes the wrong one); consoles that are made with DCMTK too then lose the association.
"""

from __future__ import annotations

import struct

from appliance.config import UnitConfig
from appliance.gatekeeper.command import NO_DATA_SET, CommandError, parse_command
from appliance.gatekeeper.pdu import AssociateRequest, PduError, PduType, each_pdu, pdvs
from appliance.gatekeeper.violations import ViolationError

MODALITY_WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
ORTHANC_LABEL = b"ISO_IR 100"
STATION_LABELS = {"ascii": b"", "latin1": ORTHANC_LABEL, "utf8": b"ISO_IR 192"}
"""By ``character_set`` of ``[[modality]]``; empty: the element is left out, as the default repertoire asks."""

_COMMAND_BIT = 1
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_IMPLICIT = "1.2.840.10008.1.2"
_DATA_SET_TYPE = struct.pack("<HHI", 0x0000, 0x0800, 2)


class WorklistAnswers:
    """Follows what Orthanc sends on one association."""

    def __init__(self, request: AssociateRequest, syntaxes: dict[int, str], config: UnitConfig) -> None:
        """Take up a new association.

        Args:
            request: The modality's.
            syntaxes: Transfer syntax of each accepted presentation context.
            config: Where the modality's character set stands.
        """
        sets = {modality.ae_title.strip(" "): modality.character_set for modality in config.modality}
        label = STATION_LABELS[sets.get(request.calling_ae_title, "ascii")]
        self._labels = {
            context.context_id: _labels(label, syntaxes[context.context_id])
            for context in request.contexts
            if context.abstract_syntax == MODALITY_WORKLIST_FIND and context.context_id in syntaxes
        }
        self._is_answer_next = False
        self._is_dropping = False

    def made_right(self, run: memoryview) -> memoryview:
        """What to pass on of these whole PDUs.

        Raises:
            ViolationError: If a PDU or command is malformed, or an answer does not begin with Orthanc's label.
        """
        if not self._labels:
            return run
        try:
            return memoryview(b"".join(self._pdu(kind, each) for kind, each, _ in each_pdu(run)))
        except (PduError, CommandError) as error:
            raise ViolationError("pdu-malformed", str(error)) from error

    def _pdu(self, kind: int, data: memoryview) -> bytes:
        if kind != PduType.DATA_TF:
            return bytes(data)
        parts = b"".join(self._pdv(*each) for each in pdvs(data))
        return struct.pack(">BxI", PduType.DATA_TF, len(parts)) + parts if parts else b""

    def _pdv(self, context_id: int, control: int, fragment: memoryview) -> bytes:
        passed = bytes(fragment)
        if context_id in self._labels:
            if control & _COMMAND_BIT:
                passed = self._command(passed)
            elif self._is_dropping:
                return b""
            elif self._is_answer_next:
                self._is_answer_next = False
                orthancs, own = self._labels[context_id]
                if not passed.startswith(orthancs):
                    raise ViolationError("pdu-unexpected", "a worklist answer without Orthanc's label")
                passed = own + passed[len(orthancs) :]
        return struct.pack(">IBB", len(passed) + 2, context_id, control) + passed

    def _command(self, fragment: bytes) -> bytes:
        """DCMTK sends a command whole."""
        command = parse_command(fragment)
        self._is_answer_next = command.has_data_set
        self._is_dropping = command.has_data_set and command.is_final_response
        if not self._is_dropping:
            return fragment
        value = fragment.index(_DATA_SET_TYPE) + len(_DATA_SET_TYPE)
        return fragment[:value] + struct.pack("<H", NO_DATA_SET) + fragment[value + 2 :]


def _labels(own: bytes, transfer_syntax_uid: str) -> tuple[bytes, bytes]:
    """Orthanc's whole element, and what takes its place."""
    order = ">" if transfer_syntax_uid == _BIG_ENDIAN else "<"

    def element(value: bytes) -> bytes:
        tag = struct.pack(f"{order}HH", 0x0008, 0x0005)
        if transfer_syntax_uid == _IMPLICIT:
            return tag + struct.pack("<I", len(value)) + value
        return tag + b"CS" + struct.pack(f"{order}H", len(value)) + value

    return element(ORTHANC_LABEL), element(own) if own else b""
