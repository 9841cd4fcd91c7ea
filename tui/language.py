"""The language of the screen: one catalogue at a time, looked up when something is drawn, so a switch is a redraw.

Messages are the English text; ``tui/locales`` holds the others (``docs/reference/languages.md``). What comes from
outside (names, numbers, what people typed) never passes here.
"""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path

from appliance.domain.wording import Catalogue, Wording, message, told
from appliance.domain.wording import say as say_value

FOLDER = Path(__file__).with_name("locales")
DOMAIN = "qafila"
LANGUAGES = {"fr": "Français", "en": "English", "ar": "العربية (تجريبي)"}
"""Code and own name; the Arabic one says that it is a pilot."""
SOURCE = "en"

STORED_ENDS = (
    message("Studies wait safely on this unit."),
    message("It is safe here and is tried again."),
    message("It is safe here and waits for a person."),
    message("It is checked again."),
    message("Tell the service."),
    message("Nothing was changed; the pictures are safe as they are."),
    message("One study was refused by the centre; the other studies go on."),
)
"""Sentences that others are joined with before they are written down."""


class _Spoken:
    code = SOURCE
    catalogue: Catalogue = gettext.NullTranslations()


def speak(code: str) -> None:
    """From now on the screen speaks this language.

    Raises:
        KeyError: There is no such language.
    """
    if code not in LANGUAGES:
        raise KeyError(code)
    _Spoken.code, _Spoken.catalogue = code, catalogue_of(code)


def spoken() -> str:
    """The code of the language that is spoken."""
    return _Spoken.code


def say(text: str, **values: object) -> str:
    """A message, or a ``Wording``, in the language that is spoken; ``values`` fill the message's ``{names}``."""
    if isinstance(text, Wording):
        return text.said(_Spoken.catalogue)
    return told(text, **values).said(_Spoken.catalogue) if text else ""


def shown(text: str) -> str:
    """Text for a widget: a ``Wording`` is said, everything else came from outside and stays."""
    return str(say_value(text, _Spoken.catalogue))


@cache
def catalogue_of(code: str) -> Catalogue:
    """The messages of a language; English is the source and needs none."""
    if code == SOURCE:
        return gettext.NullTranslations()
    with (FOLDER / code / "LC_MESSAGES" / f"{DOMAIN}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)
