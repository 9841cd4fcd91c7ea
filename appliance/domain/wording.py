"""Text in English that remembers what it was made of, so that a screen can say it in another language; pure.

Every ``Wording`` is a plain English ``str``: command line, logs and files use it as such. The screen hands it a
catalogue (``said``), which looks the template up and fills it with values that are said the same way. What comes from
outside (names, numbers) is a value and never looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z])")


class Catalogue(Protocol):
    """What of ``gettext`` is needed; ``gettext.NullTranslations`` is one."""

    def gettext(self, message: str, /) -> str:
        """The translation, or the message itself."""
        ...

    def ngettext(self, one: str, many: str, count: int, /) -> str:
        """The translation for ``count``."""
        ...


class Wording(str):
    """English text that can be said in other languages; subclasses know how."""

    __slots__ = ()

    def said(self, catalogue: Catalogue) -> str:
        """The text in the catalogue's language."""
        raise NotImplementedError


class _Told(Wording):
    __slots__ = ("_template", "_values")
    _template: str
    _values: Mapping[str, object]

    def __new__(cls, template: str, values: Mapping[str, object]) -> _Told:
        self = super().__new__(cls, template.format_map(values))
        self._template, self._values = template, values
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self._template, self._values

    def said(self, catalogue: Catalogue) -> str:
        values = {name: say(value, catalogue) for name, value in self._values.items()}
        return catalogue.gettext(self._template).format_map(values)


class _Counted(Wording):
    __slots__ = ("_count", "_many", "_one")
    _count: int
    _one: str
    _many: str

    def __new__(cls, count: int, one: str, many: str) -> _Counted:
        self = super().__new__(cls, f"{count} {one if count == 1 else many}")
        self._count, self._one, self._many = count, one, many
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self._count, self._one, self._many

    def said(self, catalogue: Catalogue) -> str:
        return f"{self._count} {catalogue.ngettext(self._one, self._many, self._count)}"


class _Joined(Wording):
    __slots__ = ("_parts", "_separator")
    _separator: str
    _parts: tuple[str, ...]

    def __new__(cls, separator: str, parts: tuple[str, ...]) -> _Joined:
        self = super().__new__(cls, separator.join(parts))
        self._separator, self._parts = separator, parts
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self._separator, self._parts

    def said(self, catalogue: Catalogue) -> str:
        return self._separator.join(str(say(part, catalogue)) for part in self._parts)


class _Stored(Wording):
    __slots__ = ()

    def said(self, catalogue: Catalogue) -> str:
        text = str(self)
        whole = catalogue.gettext(text) if text else ""
        if whole != text:
            return whole
        return " ".join(catalogue.gettext(each) for each in sentences_of(text) if each)


def told(template: str, **values: object) -> Wording:
    """``template`` with its ``{names}`` filled; the template is the message that translators see."""
    return _Told(template, values)


def message(template: str) -> str:
    """Marks a template for translators where it stands; ``told`` fills it elsewhere."""
    return template


def counted(count: int, one: str, many: str) -> Wording:
    """``1 study``, ``3 studies``; both words are one message with its plural."""
    return _Counted(count, one, many)


def joined(separator: str, parts: Iterable[str]) -> Wording:
    """Parts one after the other, each said by itself; a part that is no ``Wording`` stays as it is."""
    return _Joined(separator, tuple(parts))


def stored(sentence: str) -> Wording:
    """Text that was written down in English before: looked up whole, else sentence by sentence; what nobody translated
    is shown as it is."""
    return sentence if isinstance(sentence, Wording) else _Stored(sentence)


def say(value: object, catalogue: Catalogue) -> object:
    """A value for a template in the catalogue's language; only ``Wording`` changes."""
    return value.said(catalogue) if isinstance(value, Wording) else value


def sentences_of(text: str) -> list[str]:
    """Each by itself; a sentence ends before a capital letter."""
    return _SENTENCE_END.split(text)
