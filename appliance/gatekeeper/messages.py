"""Follows DIMSE messages through P-DATA-TF PDUs: what is being asked, and whether its data set may go on; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from appliance.domain.limits import LimitSet
from appliance.gatekeeper.command import C_FIND_RQ, C_STORE_RQ, Command, CommandError, parse_command
from appliance.gatekeeper.dataset_scan import Scan, scan_for
from appliance.gatekeeper.pdu import PduError, PduType, each_pdu, pdvs
from appliance.gatekeeper.violations import Answer, ViolationError

_COMMAND_BIT = 1
_LAST_BIT = 2


@dataclass(slots=True)
class Message:
    """One message of the modality, from the end of its command set on."""

    command: Command
    context_id: int
    transfer_syntax_uid: str
    scan: Scan
    room_bytes: int
    """How much of a data set the unit has room for."""
    keep: Callable[[memoryview], None] | None = None
    """Gets each fragment of the data set, also after a violation."""
    data_set_bytes: int = 0
    violation: ViolationError | None = field(default=None)
    """The first one; what follows is read past and not forwarded."""

    @property
    def is_store(self) -> bool:
        return self.command.field == C_STORE_RQ


class CommandFragments:
    """Collects the fragments of a command set, bounded."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._data = bytearray()

    @property
    def is_empty(self) -> bool:
        return not self._data

    def take(self, fragment: memoryview, *, is_last: bool) -> Command | None:
        """The command, once its last fragment came.

        Raises:
            ViolationError: If it is too long or malformed.
        """
        self._data += fragment
        if len(self._data) > self._bytes_max:
            raise ViolationError("command-malformed", f"more than {self._bytes_max} bytes")
        if not is_last:
            return None
        data, self._data = self._data, bytearray()
        try:
            return parse_command(data)
        except CommandError as error:
            raise ViolationError("command-malformed", str(error)) from error


class Inbound:
    """The modality's half of an association."""

    def __init__(
        self,
        transfer_syntax_by_context_id: Mapping[int, str],
        limits: LimitSet,
        on_message: Callable[[Message], None],
    ) -> None:
        """Start between two messages.

        Args:
            transfer_syntax_by_context_id: The accepted presentation contexts.
            limits: The bounds that data sets are held to.
            on_message: Called when a command set is complete, before its data set; may set ``keep`` and ``room_bytes``.
        """
        self._syntaxes = transfer_syntax_by_context_id
        self._limits = limits
        self._on_message = on_message
        self._command = CommandFragments(limits.command_bytes_max)
        self._context_id = 0
        self._message: Message | None = None

    @property
    def is_between_messages(self) -> bool:
        return self._message is None and self._command.is_empty

    @property
    def is_refusing(self) -> bool:
        """Whether the rest of the present message is only read past."""
        return self._message is not None and self._message.violation is not None

    def take(self, pdu: memoryview) -> Message | None:
        """Follow one whole P-DATA-TF.

        Returns:
            The message whose violation is to be answered now that its last fragment came; ``None`` mostly.

        Raises:
            ViolationError: If the association cannot go on.
        """
        refused: Message | None = None
        try:
            for context_id, control, fragment in pdvs(pdu):
                if refused:
                    raise ViolationError("pdu-unexpected", "a PDV after the end of a message that was refused")
                refused = self._fragment(context_id, control, fragment)
        except PduError as error:
            raise ViolationError("pdu-malformed", str(error)) from error
        return refused

    def _fragment(self, context_id: int, control: int, fragment: memoryview) -> Message | None:
        if context_id not in self._syntaxes:
            raise ViolationError("pdu-unexpected", f"presentation context {context_id} was not accepted")
        if not self.is_between_messages and context_id != self._context_id:
            raise ViolationError("pdu-unexpected", "the presentation context changes within a message")
        self._context_id = context_id
        is_last = bool(control & _LAST_BIT)
        if control & _COMMAND_BIT:
            self._take_command(fragment, is_last)
            return None
        if self._message is None:
            raise ViolationError("pdu-unexpected", "a data set without a command")
        return self._take_data(self._message, fragment, is_last)

    def _take_command(self, fragment: memoryview, is_last: bool) -> None:
        if self._message is not None:
            raise ViolationError("pdu-unexpected", "a command within a data set")
        command = self._command.take(fragment, is_last=is_last)
        if command is None:
            return
        syntax = self._syntaxes[self._context_id]
        message = Message(
            command, self._context_id, syntax, scan_for(syntax, self._limits), self._limits.object_bytes_max
        )
        self._on_message(message)
        self._message = message if command.has_data_set else None

    def _take_data(self, message: Message, fragment: memoryview, is_last: bool) -> Message | None:
        message.data_set_bytes += len(fragment)
        is_query = message.command.field == C_FIND_RQ
        bytes_max = self._limits.worklist_query_bytes_max if is_query else self._limits.object_bytes_max
        if message.data_set_bytes > bytes_max:
            raise ViolationError("object-too-large", f"more than {bytes_max} bytes")
        if message.keep:
            message.keep(fragment)
        if not message.violation:
            self._judge(message, fragment, is_last)
        if not is_last:
            return None
        self._message = None
        return message if message.violation else None

    def _judge(self, message: Message, fragment: memoryview, is_last: bool) -> None:
        try:
            if message.data_set_bytes > message.room_bytes:
                raise ViolationError("no-room", f"more than {message.room_bytes} bytes")
            message.scan.feed(fragment)
            if is_last:
                message.scan.finish()
        except ViolationError as violation:
            if violation.rule.answer is not Answer.REFUSE or not message.is_store:
                raise
            message.violation = violation


class Outbound:
    """Orthanc's half: only what it says to which request."""

    def __init__(self, limits: LimitSet) -> None:
        self._command = CommandFragments(limits.command_bytes_max)

    def take_run(self, run: memoryview) -> list[Command]:
        """The responses, pending and final ones, whose commands end in these whole PDUs.

        Raises:
            ViolationError: If Orthanc sends what is no DIMSE message; also its A-ABORT.
        """
        said: list[Command] = []
        for kind, pdu, _ in each_pdu(run):
            if kind != PduType.DATA_TF:
                raise ViolationError("pdu-unexpected", f"Orthanc sends a PDU of type {kind}")
            said += self._take(pdu)
        return said

    def _take(self, pdu: memoryview) -> list[Command]:
        said: list[Command] = []
        try:
            for _, control, fragment in pdvs(pdu):
                if control & _COMMAND_BIT:
                    command = self._command.take(fragment, is_last=bool(control & _LAST_BIT))
                    if command is not None and command.is_response:
                        said.append(command)
        except PduError as error:
            raise ViolationError("pdu-malformed", str(error)) from error
        return said
