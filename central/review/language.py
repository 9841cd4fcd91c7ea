"""French, English and Arabic from gettext ``.po`` files, read as they are: no compiled file to forget.

The words in the code are English; ``locales/fr*.po`` and ``locales/ar*.po`` say them in the other two, a file a family
of pages.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup, escape

LANGUAGES: dict[str, str] = {"fr": "Français", "en": "English", "ar": "العربية"}
"""Code and own name, in the order in which they are offered."""
LOCALES = Path(__file__).parent / "locales"


class PoError(Exception):
    """A catalogue that cannot be read; the text says where."""


def _french(n: int) -> int:
    return 0 if n in (0, 1) else 1


def _english(n: int) -> int:
    return 0 if n == 1 else 1


def _arabic(n: int) -> int:
    """CLDR's six: zero, one, two, few, many, other."""
    if n in (0, 1, 2):
        return n
    if 3 <= n % 100 <= 10:
        return 3
    return 4 if 11 <= n % 100 <= 99 else 5


PLURALS: dict[str, tuple[int, Callable[[int], int]]] = {"fr": (2, _french), "en": (2, _english), "ar": (6, _arabic)}
"""How many forms a language has, and which one a count takes."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language's words; callable as ``_`` in templates."""

    code: str
    words: Mapping[str, str] = field(default_factory=dict)
    plurals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def direction(self) -> str:
        return "rtl" if self.code == "ar" else "ltr"

    def say(self, text: str, **values: object) -> Markup:
        """``text`` in this language; ``%(name)s`` in it takes a value, escaped and kept apart from the text around."""
        return _filled(self.words.get(text, text), values)

    def count(self, one: str, many: str, n: int, **values: object) -> Markup:
        """The form that ``n`` takes; ``%(n)s`` is the number."""
        forms = self.plurals.get(one) or (one, many)
        return _filled(forms[PLURALS[self.code][1](n)], {"n": n, **values})


def bdi(value: object) -> Markup:
    """A name or an identifier that keeps its own direction in text of the other one."""
    return Markup("<bdi>{}</bdi>").format(value)


def _filled(text: str, values: Mapping[str, object]) -> Markup:
    safe = {key: value if isinstance(value, (int, Markup)) else bdi(value) for key, value in values.items()}
    return Markup(str(escape(text)) % safe) if safe else escape(text)


def load_languages(folder: Path = LOCALES) -> dict[str, Language]:
    """Every language of ``LANGUAGES``.

    Raises:
        PoError: If a catalogue is missing or damaged.
    """
    found = {"en": Language("en")}
    for code in LANGUAGES:
        if code != "en":
            files = [read_po(path, code) for path in sorted(folder.glob(f"{code}*.po"))]
            if not files:
                raise PoError(f"{folder}: there is no {code}.po")
            words = {key: text for one in files for key, text in one.words.items()}
            found[code] = Language(code, words, {key: forms for one in files for key, forms in one.plurals.items()})
    return {code: found[code] for code in LANGUAGES}


def read_po(path: Path, code: str) -> Language:
    """One catalogue; fuzzy entries do not exist for it, because nobody has agreed to them.

    Raises:
        PoError: If it cannot be read.
    """
    words: dict[str, str] = {}
    plurals: dict[str, tuple[str, ...]] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PoError(f"{path}: {error.strerror}") from error
    for block in text.split("\n\n"):
        entry = _entry(path, block)
        if not entry or not entry.get("msgid"):
            continue
        if "msgid_plural" in entry:
            forms = tuple(entry.get(f"msgstr[{i}]", "") for i in range(PLURALS[code][0]))
            if all(forms):
                plurals[entry["msgid"]] = forms
        elif entry.get("msgstr"):
            words[entry["msgid"]] = entry["msgstr"]
    return Language(code, words, plurals)


def _entry(path: Path, block: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in block.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            if line.startswith("#,") and "fuzzy" in line:
                return {}
            continue
        if not line.startswith('"'):
            name, _, line = line.partition(" ")
            fields[name] = ""
        try:
            fields[name] += str(ast.literal_eval(line.strip()))
        except (KeyError, ValueError, SyntaxError) as error:
            raise PoError(f"{path}: {line!r} is not a line of a catalogue") from error
    return fields
