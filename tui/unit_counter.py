"""The form's way to a real unit: the counter of ``appliance.registration``, and a draft on disk that a crash leaves."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from appliance.clock import Clock, local_zone
from appliance.config import ConfigError, UnitConfig
from appliance.domain.wording import stored, told
from appliance.identity import replace_file
from appliance.registration.entry import Entry, FieldError
from appliance.store.commands import open_unit
from tui.reader import ReadTrouble
from tui.services import FieldTrouble
from tui.unit_reader import WRITE_WAIT_S, as_trouble

if TYPE_CHECKING:  # its parts read and write DICOM; they are imported when they are asked first, in a thread
    from appliance.registration.catalogue import Catalogue
    from appliance.registration.counter import Result
    from appliance.registration.duplicates import Likeness

DRAFT_FILE = "screen-draft.json"
"""In the unit's data folder, readable by its owner only; removed when the form is registered or emptied."""


class UnitCounter:
    """Implements ``tui.services.Counter``."""

    def __init__(self, config: UnitConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._draft = config.data_dir / DRAFT_FILE

    def exams(self) -> Catalogue:
        """As the protocol says."""
        from appliance.registration.catalogue import load_catalogue

        try:
            return load_catalogue(self._config.registration.catalogue)
        except ConfigError as error:
            raise ReadTrouble(told("The list of exams cannot be read: {error}.", error=stored(str(error)))) from error

    def alike(self, entry: Entry) -> tuple[Likeness, ...]:
        """As the protocol says."""
        from appliance.registration import counter

        with as_trouble(), open_unit(self._config.unit_db, wait_s=WRITE_WAIT_S, clock=self._clock) as db:
            return counter.alike(db, entry, self._config, self._now())

    def register(self, entry: Entry, actor: str, *, is_emergency: bool, is_nobody_known: bool) -> Result:
        """As the protocol says."""
        from appliance.registration import counter

        catalogue = self.exams()
        try:
            with as_trouble(), open_unit(self._config.unit_db, wait_s=WRITE_WAIT_S, clock=self._clock) as db:
                return counter.register(
                    db,
                    entry,
                    self._config,
                    catalogue,
                    self._now(),
                    actor,
                    is_emergency=is_emergency,
                    is_nobody_known=is_nobody_known,
                )
        except FieldError as error:
            raise FieldTrouble(error.field, error.sentence, error.proposal) from error

    def keep_draft(self, entry: Entry) -> None:
        """As the protocol says; a disk that does not take it is no reason to disturb who types."""
        with contextlib.suppress(OSError):
            if entry == Entry():
                self._draft.unlink(missing_ok=True)
            else:
                replace_file(self._draft, msgspec.json.encode(entry))

    def draft(self) -> Entry:
        """As the protocol says; one that cannot be read is none."""
        try:
            return msgspec.json.decode(self._draft.read_bytes(), type=Entry)
        except (OSError, msgspec.DecodeError):
            return Entry()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall_s(), local_zone(self._clock.wall_s()))
