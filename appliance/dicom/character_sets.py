"""Whether bytes of a name can be what their Specific Character Set says; a wrong label is flagged, never repaired.

Arabic bytes under a missing or Latin label decode to Latin garbage with no warning, so the bytes are judged, not the
decoded text (PS3.3 C.12.1.1.2, PS3.5 section 6.1).
"""

from __future__ import annotations

from collections.abc import Sequence

ESCAPE = 0x1B
_UTF_8_LABELS = frozenset({"ISO_IR 192", "GB18030", "GBK"})
_LATIN_1_LABELS = frozenset({"ISO_IR 100", "ISO 2022 IR 100"})


def suspect_encoding(raw: bytes, labels: Sequence[str]) -> str:
    """What ``raw`` looks like when it cannot be what ``labels`` say.

    Args:
        raw: The value bytes of a person name or text element.
        labels: Values of Specific Character Set (0008,0005); empty when the element is missing.

    Returns:
        ``utf-8``, ``windows-1252``, ``windows-1256`` or ``unknown``; empty when the label may be right.
    """
    high = [byte for byte in raw if byte >= 0x80]
    named = [label.strip() for label in labels if label.strip()]
    if not high or ESCAPE in raw:
        return ""
    if "ISO_IR 192" in named:
        return "" if _decodes(raw, "utf-8") else _single_byte_guess(raw, high)
    if any(label in _UTF_8_LABELS for label in named):
        return ""
    if _decodes(raw, "utf-8"):
        # A run of valid multi-byte UTF-8 is improbable in any single-byte text; lone Latin letters never form one.
        return "utf-8"
    if not named:
        return _single_byte_guess(raw, high)
    if _LATIN_1_LABELS.issuperset(named) and (any(byte < 0xA0 for byte in high) or _is_arabic(raw, high)):
        return _single_byte_guess(raw, high)
    return ""


def _decodes(raw: bytes, codec: str) -> bool:
    try:
        raw.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _is_arabic(raw: bytes, high: Sequence[int]) -> bool:
    """Mostly letters of the Arabic block of Windows-1256, where Latin names have one accent among many letters."""
    letters = [byte for byte in raw if byte >= 0x80 or chr(byte).isalpha()]
    arabic = sum(1 for byte in high if "\u0600" <= bytes((byte,)).decode("cp1256") <= "\u06ff")
    return arabic >= 3 and arabic * 2 > len(letters)


def _single_byte_guess(raw: bytes, high: Sequence[int]) -> str:
    if _is_arabic(raw, high):
        return "windows-1256"
    return "windows-1252" if _decodes(raw, "cp1252") else "unknown"
