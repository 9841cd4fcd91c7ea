"""Has every device been tried out with this unit? One that was not may still work, so nobody is called for it."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.domain.wording import told
from appliance.health.check import Level, Result, Subject
from appliance.store.commissioning import passed_at

NAME = "devices"


def check(subject: Subject) -> Iterable[Result]:
    """One answer for all devices; none when none is listed, which is said elsewhere."""
    titles = [modality.ae_title.strip(" ") for modality in subject.config.modality]
    if not titles:
        return []
    passed = passed_at(subject.reader.unit_db)
    missing = [title for title in titles if title not in passed]
    facts: dict[str, int | float | str] = {"device_count": len(titles), "passed_count": len(titles) - len(missing)}
    if not missing:
        return [Result(NAME, Level.FINE, told("Every device was tried out with this unit."), "", facts)]
    sentence = told("Not tried out with this unit yet: {names}.", names=", ".join(missing))
    hint = told("'qafila doctor device NAME' goes through everything with you, in about ten minutes.")
    return [Result(NAME, Level.NOTICE, sentence, hint, facts)]
