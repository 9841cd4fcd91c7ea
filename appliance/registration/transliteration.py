"""A Latin spelling to propose for an Arabic name; pure. A proposal, never the truth: a person confirms it."""

from __future__ import annotations

from appliance.registration.folding import clean, fold

_USUAL = {
    "محمد": "Mohamed",
    "احمد": "Ahmed",
    "علي": "Ali",
    "حسن": "Hassan",
    "حسين": "Hussein",
    "فاطمه": "Fatima",
    "خديجه": "Khadija",
    "عايشه": "Aicha",
    "مريم": "Meryem",
    "زينب": "Zineb",
    "يوسف": "Youssef",
    "ابراهيم": "Ibrahim",
    "اسماعيل": "Ismail",
    "عمر": "Omar",
    "خالد": "Khalid",
    "سعيد": "Said",
    "رشيد": "Rachid",
    "كريم": "Karim",
    "نور": "Nour",
    "امينه": "Amina",
    "سعاد": "Souad",
    "نعيمه": "Naima",
    "رقيه": "Rokia",
    "زهره": "Zahra",
    "الزهراء": "Zahra",
    "الزهرا": "Zahra",
    "مصطفي": "Mustapha",
    "عبد": "Abd",
    "الله": "Allah",
    "عبدالله": "Abdellah",
    "الرحمن": "Errahman",
    "بن": "Ben",
    "بنت": "Bent",
    "ابن": "Ibn",
    "بنعلي": "Benali",
    "العلوي": "Alaoui",
    "الادريسي": "Idrissi",
    "حميد": "Hamid",
    "حسنا": "Hasna",
    "لطيفه": "Latifa",
    "ليلي": "Layla",
    "سلمي": "Salma",
    "ياسين": "Yassine",
    "مليكه": "Malika",
    "جميله": "Jamila",
}
"""Names that letters alone would spell without their vowels; folded."""
_LETTERS = {
    "ا": "a",
    "ب": "b",
    "ت": "t",
    "ث": "th",
    "ج": "j",
    "ح": "h",
    "خ": "kh",
    "د": "d",
    "ذ": "d",
    "ر": "r",
    "ز": "z",
    "س": "s",
    "ش": "ch",
    "ص": "s",
    "ض": "d",
    "ط": "t",
    "ظ": "d",
    "ع": "a",
    "غ": "gh",
    "ف": "f",
    "ق": "k",
    "ك": "k",
    "ل": "l",
    "م": "m",
    "ن": "n",
    "ه": "h",
    "و": "ou",
    "ي": "i",
}


def propose_latin(arabic: str) -> str:
    """A Latin spelling of an Arabic name, as is usual in French-speaking Morocco; short vowels are often missing."""
    spelled = []
    for word in fold(clean(arabic)).split():
        letters = word[:-1] + "ا" if word.endswith("ه") and len(word) > 2 else word
        spelled.append(_USUAL.get(word) or "".join(_LETTERS.get(char, char) for char in letters).capitalize())
    return " ".join(spelled)
