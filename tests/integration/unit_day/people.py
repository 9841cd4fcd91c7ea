"""The twelve people of the day, as somebody types them in at the desk. None of them exists."""

from __future__ import annotations

from dataclasses import dataclass

XRAY, SONO = "XRAY", "SONO"
"""AE titles: a portable X-ray that reads ASCII alone, and an ultrasound that reads UTF-8."""


@dataclass(frozen=True, slots=True)
class Person:
    """One registration; ``key`` is what the day calls it."""

    key: str
    exam: str
    family: str = ""
    given: str = ""
    family_ar: str = ""
    given_ar: str = ""
    sex: str = ""
    birth_date: str = ""
    station: str = XRAY
    national_id: str = ""
    options: tuple[str, ...] = ()

    @property
    def is_emergency(self) -> bool:
        return "--emergency" in self.options

    @property
    def is_stat(self) -> bool:
        return "--stat" in self.options or self.is_emergency

    def words(self) -> list[str]:
        """The command line that registers this person."""
        given = {
            "--exam": self.exam,
            "--family": self.family,
            "--given": self.given,
            "--family-ar": self.family_ar,
            "--given-ar": self.given_ar,
            "--sex": self.sex,
            "--birth-date": self.birth_date,
            "--national-id": self.national_id,
        }
        words = [word for option, value in given.items() if value for word in (option, value)]
        is_asked = self.sex == "F" and self.station == XRAY
        return ["register", *words, *self.options, *(("--pregnancy", "no") if is_asked else ())]


CHEST, ABDOMEN = "XR-CHEST-PA", "US-ABDOMEN"
PEOPLE = (
    Person("benali", CHEST, "Benali", "Aïcha", "بنعلي", "عائشة", "F", "1984-03-12", national_id="AB123456"),
    Person("alaoui", CHEST, "Alaoui", "Mohamed", sex="M", birth_date="1957-11-02", options=("--stat",)),
    Person("haddad", "XR-CHEST-2V", "Haddad", "Karim", sex="M", birth_date="1990-06-30"),
    Person("idrissi", CHEST, "El Idrissi", "Omar", sex="M", birth_date="1948-01-19"),
    Person("mansouri", CHEST, "Mansouri", "Salma", "المنصوري", "سلمى", "F", "1979-09-05"),
    Person("dupont", CHEST, "Dupont", "Jean-Édouard", sex="M", birth_date="1966-12-24"),
    Person("emergency", "XR-CHEST-AP", sex="M", options=("--emergency",)),
    Person("berrada", CHEST, "Berrada", "Nadia", sex="F", birth_date="2001-02-28"),
    Person("tazi", ABDOMEN, "Tazi", "Fatima-Zahra", "التازي", "فاطمة الزهراء", "F", "1995-07-17", SONO),
    Person("ouazzani", ABDOMEN, "Ouazzani", "Rachid", sex="M", birth_date="1971-04-08", station=SONO),
    Person("bennani", ABDOMEN, "Bennani", "Leïla", sex="F", birth_date="1988-10-21", station=SONO),
    Person("smith", ABDOMEN, "Smith", "John", sex="M", birth_date="1960-05-15", station=SONO),
)
BY_KEY = {person.key: person for person in PEOPLE}
WHO_IT_WAS = Person("cherkaoui", "XR-CHEST-AP", "Cherkaoui", "Hicham", "الشرقاوي", "هشام", "M", "1975-08-09")
"""The emergency, once somebody has brought the papers."""
