"""The pages a person can go to, in the order of the menu (F11); each is imported when it is opened first.

To add a page, add its line: a name, a title and where its class is. A page that cannot be used yet says why
(``Page.closed``), and stays in the menu, greyed.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from appliance.domain.wording import Wording, told
from tui.screens.page import Page


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu."""

    name: str
    title: Wording
    where: str
    """``module:Class``; the class is made without arguments."""

    def page_class(self) -> type[Page]:
        """The class of the page."""
        module, _, name = self.where.partition(":")
        found: type[Page] = getattr(import_module(module), name)
        return found


FIRST = "today"
PAGES: tuple[Entry, ...] = (
    Entry("today", told("Today"), "tui.screens.today:TodayPage"),
    Entry("registration", told("New patient"), "tui.screens.registration:RegistrationPage"),
    Entry("delivery", told("Delivery"), "tui.screens.delivery:DeliveryPage"),
    Entry("reports", told("Reports"), "tui.screens.reports:ReportsPage"),
    Entry("courier", told("Courier"), "tui.screens.courier:CourierPage"),
    Entry("unit", told("Unit"), "tui.screens.unit:UnitPage"),
    Entry("people", told("People"), "tui.screens.people:PeoplePage"),
)


def entry(name: str) -> Entry:
    """The page of that name.

    Raises:
        KeyError: If there is none.
    """
    for one in PAGES:
        if one.name == name:
            return one
    raise KeyError(name)
