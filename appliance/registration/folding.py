"""Text as people look for it: one form for every way to write a name, in Latin and in Arabic letters; pure.

What is stored stays as it was entered (without direction marks); only what is compared and searched is folded.
"""

from __future__ import annotations

import unicodedata
from itertools import groupby

from appliance.domain.display import safe_text

_NO_ACCENT_TO_DROP = {
    "ß": "ss",
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "ħ": "h",
    "ı": "i",
    "ł": "l",
    "ŋ": "n",
}
"""Latin letters that decompose into nothing."""
_ARABIC = {
    "ٱ": "ا",  # alef wasla; the other alef forms decompose into alef and a mark
    "ة": "ه",  # taa marbuta
    "ى": "ي",  # alef maqsura
    "ی": "ي",  # Farsi yeh, which some keyboards type
    "ے": "ي",
    "ک": "ك",
    "گ": "ك",
    "ݣ": "ك",  # Moroccan g
    "ڭ": "ك",
    "ڤ": "ف",
    "ڥ": "ف",
    "پ": "ب",
    "چ": "ج",
    "ہ": "ه",
    "ھ": "ه",
    "ء": "",  # a hamza on the line comes and goes as those on a letter do
    "ـ": "",  # tatweel
}
_FOLDED = str.maketrans(_NO_ACCENT_TO_DROP | _ARABIC)
_PLAIN = str.maketrans(
    _NO_ACCENT_TO_DROP
    | {"ẞ": "SS"}
    | {letter.upper(): plain.upper() for letter, plain in _NO_ACCENT_TO_DROP.items() if len(letter.upper()) == 1}
    | dict.fromkeys("’‘ʼ´`", "'")
    | dict.fromkeys("‐‑‒–—", "-")
)
_APOSTROPHES = frozenset("'’‘ʼ´`ʿʾ")


def clean(text: str) -> str:
    """``text`` as it may be stored: one line, no direction marks or other invisible characters, single blanks."""
    return " ".join(safe_text(text).split())


def ascii_digits(text: str) -> str:
    """``text`` with the decimal digits of every script (Eastern Arabic ones among them) as 0 to 9."""
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


def fold(text: str) -> str:
    """``text`` in the one form in which it is compared: words of plain letters and digits with single blanks.

    Case, accents, vowel signs, tatweel, alef, hamza, taa marbuta and alef maqsura forms, ligatures, digit scripts,
    apostrophes and hyphens make no difference any more. Folding twice is folding once.
    """
    letters = _without_marks(_without_marks(clean(text)).casefold()).translate(_FOLDED)
    kept = (
        str(unicodedata.decimal(char)) if char.isdecimal() else char if char.isalnum() else " "
        for char in letters
        if char not in _APOSTROPHES
    )
    return " ".join("".join(kept).split())


def words(text: str) -> tuple[str, ...]:
    """The folded words of ``text``."""
    return tuple(fold(text).split())


def plain_latin(text: str) -> str:
    """``text`` with accents and special letters replaced by plain ones, in the same case.

    What has no plain Latin letter stays as it is: ask ``str.isascii``.
    """
    return _without_marks(clean(text).translate(_PLAIN)).translate(_PLAIN)


def is_arabic(text: str) -> bool:
    """Whether any letter of ``text`` is of the Arabic script."""
    return any(unicodedata.name(char, "").startswith("ARABIC ") for char in text if char.isalpha())


def sound(text: str) -> str:
    """The consonants of a name, as far as all its usual spellings agree; empty when nothing is left.

    Mohamed, Mohammed, Muhammad and محمد are one; so are Aïcha, Aisha and عائشة. It only ever proposes: many names share
    one sound.
    """
    spoken = words(text)
    if len(spoken) > 1 and spoken[0] in _LATIN_ARTICLES:
        spoken = spoken[1:]
    letters = "".join(spoken)
    if letters.startswith(_ARABIC_ARTICLE) and len(letters) >= len(_ARABIC_ARTICLE) + 3:
        letters = letters.removeprefix(_ARABIC_ARTICLE)
    for written, heard in _DIGRAPHS:
        letters = letters.replace(written, heard)
    single = "".join(char for char, _ in groupby(letters.translate(_SPOKEN)))
    return (single[:1] + single[1:].replace(_VOWEL, "")).rstrip("h")


def _without_marks(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))


_LATIN_ARTICLES = frozenset({"al", "el"})
_ARABIC_ARTICLE = "ال"
_VOWEL = "a"
_DIGRAPHS = (
    ("sch", "x"),
    ("ch", "x"),
    ("sh", "x"),
    ("kh", "k"),
    ("gh", "g"),
    ("dj", "j"),
    ("dh", "d"),
    ("th", "t"),
    ("ph", "f"),
    ("qu", "k"),
    ("ck", "k"),
    ("ce", "se"),
    ("ci", "si"),
)
_SPOKEN = str.maketrans(
    dict.fromkeys("aeiouwyاويع", _VOWEL)
    | {"c": "k", "q": "k", "v": "f", "p": "b", "z": "s"}
    | dict(zip("بتثجحخدذرزسشصضطظغفقكلمنه", "bttjhkddrssxsdtdgfkklmnh", strict=True))
)
