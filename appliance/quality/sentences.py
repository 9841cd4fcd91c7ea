"""A finding in words, in French, English or Arabic, made when it is shown; nothing in words is ever stored."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

Language = Literal["fr", "en", "ar"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_CATALOGUE = Path(__file__).with_name("sentences.toml")
_WORDS = "words"
_SIGNED = ("deviation_index", "computed_index")
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def sentence(check_code: str, values: Mapping[str, Any], language: Language) -> str:
    """One line for a nurse; for a code of a later release, the code itself with its values.

    Values may be of another release, or of another machine: what does not fit is shown as it is.
    """
    entry = catalogue().get(check_code)
    if entry is None or check_code == _WORDS:
        return " ".join([check_code, *(f"{key}={value}" for key, value in sorted(values.items()))])
    shown = {key: _shown(key, value, language) for key, value in values.items()}
    if isinstance(difference_s := values.get("difference_s"), int | float):
        shown["difference"] = _duration(difference_s, language)
    return entry[language].format_map(_Spoken(shown))


def word(name: str, language: Language) -> str:
    """The word for a coded value; the value itself when there is none."""
    entry: Mapping[str, str] = catalogue()[_WORDS].get(name, {})  # type: ignore[assignment]  # one level deeper
    return entry.get(language, name)


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """All sentences by code and language, and those of coded values under ``words``."""
    return tomllib.loads(_CATALOGUE.read_text(encoding="utf-8"))


class _Spoken(dict[str, str]):
    """A value that an older version of a check did not supply is said to be missing, not an error."""

    def __missing__(self, key: str) -> str:
        return "?"


def _shown(key: str, value: Any, language: Language) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(word(str(each), language) for each in value)
    if isinstance(value, float):
        text = f"{value:+.1f}" if key in _SIGNED else f"{value:g}"
        return text.replace(".", ",") if language == "fr" else text
    return word(str(value), language)


def _duration(seconds: float, language: Language) -> str:
    for unit_s, name in ((_DAY_S, "day"), (_HOUR_S, "hour")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {word(name, language)}"
    return f"{max(1, seconds / _MINUTE_S):.0f} {word('minute', language)}"
