"""Keeps ``tui/locales`` in step with the sources: ``python -m tests.contract.catalogues --write``.

Extracts every message (``told``, ``counted``, ``message``, ``say``), merges them into the ``.po`` without losing a
translation, and compiles the ``.mo`` files that ship.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from appliance.domain.wording import sentences_of
from tui.language import DOMAIN, FOLDER, LANGUAGES, SOURCE

TOP = Path(__file__).resolve().parents[2]
KEYWORDS: dict[str, Any] = {"told": None, "message": None, "counted": (2, 3)}
STORED = {"_link": (1,), "_transient": (1,), "_permanent": (1,), "Failure": (3,), "ActionRefused": (2,)}
"""Whose sentences are written down in English and looked up when they are shown (``stored``), sentence by sentence."""
STORED_ROOTS = ("appliance", "sync")
ROOTS: dict[str, dict[str, Any]] = {"appliance": KEYWORDS, "sync": KEYWORDS, "tui": KEYWORDS | {"say": None}}
CODES = tuple(code for code in LANGUAGES if code != SOURCE)


def po_path(code: str) -> Path:
    """The translators' file of a language."""
    return FOLDER / code / "LC_MESSAGES" / f"{DOMAIN}.po"


def extracted() -> dict[str | tuple[str, ...], list[tuple[str, int]]]:
    """Every message of the sources with the files that hold it; no line numbers, which any edit would change."""
    found: dict[str | tuple[str, ...], list[tuple[str, int]]] = {}
    for file, text in _messages():
        places = found.setdefault(text, [])
        if (file, 0) not in places:
            places.append((file, 0))
    return found


def _messages() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    for root, keywords in ROOTS.items():
        yield from _extracted(root, keywords)
    for root in STORED_ROOTS:
        for file, text in _extracted(root, STORED):
            yield from ((file, each) for each in sentences_of(str(text)) if each.strip())


def _extracted(root: str, keywords: dict[str, Any]) -> Iterator[tuple[str, str | tuple[str, ...]]]:
    for file, _, text, _, _ in extract_from_dir(str(TOP / root), [("**.py", "python")], keywords=keywords):
        if not file.startswith("cli/"):  # the command line speaks English
            yield f"{root}/{file}", text


def merged(code: str) -> Catalog:
    """The language's catalogue with exactly the messages of the sources; what was translated stays so."""
    with po_path(code).open("rb") as file:
        old = read_po(file, locale=code)
    new = Catalog(locale=code, project="qafila", charset="utf-8", fuzzy=False)
    new.mime_headers = [
        (name, value) for name, value in old.mime_headers if name in ("Language", "Plural-Forms", "MIME-Version")
    ]
    for text, places in sorted(extracted().items(), key=lambda item: str(item[0])):
        known = old.get(text if isinstance(text, str) else text[0])
        translation = known.string if known is not None and is_translated(known) else None
        new.add(text, translation, locations=places)
    return new


def is_translated(message: Message) -> bool:
    """Every form of it has words."""
    forms = message.string if isinstance(message.string, list | tuple) else (message.string,)
    return all(forms)


def untranslated(catalog: Catalog) -> list[str]:
    """English texts that the language lacks."""
    return [str(message.id) for message in catalog if message.id and not is_translated(message)]


def po_text(catalog: Catalog) -> bytes:
    """As the file holds it: sorted, without dates."""
    out = io.BytesIO()
    write_po(out, catalog, width=120, omit_header=True, include_lineno=False)
    plural = f"nplurals={catalog.num_plurals}; plural={catalog.plural_expr};"
    lines = (f"Language: {catalog.locale}", "Content-Type: text/plain; charset=utf-8", f"Plural-Forms: {plural}")
    head = 'msgid ""\nmsgstr ""\n' + "".join(f'"{line}\\n"\n' for line in lines) + "\n"
    return head.encode() + out.getvalue()


def mo_bytes(catalog: Catalog) -> bytes:
    """As ``gettext`` reads it; without the time at which it was made."""
    catalog.creation_date = datetime(2000, 1, 1, tzinfo=UTC)
    catalog.mime_headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Language", str(catalog.locale)),
        ("Plural-Forms", catalog.plural_forms),
    ]
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def write() -> None:
    """Bring every file up to date."""
    for code in CODES:
        path = po_path(code)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(f'msgid ""\nmsgstr ""\n"Language: {code}\\n"\n', encoding="utf-8")
        catalog = merged(code)
        path.write_bytes(po_text(catalog))
        path.with_suffix(".mo").write_bytes(mo_bytes(catalog))
        print(code, len(catalog), "messages,", len(untranslated(catalog)), "not translated")


if __name__ == "__main__":
    if "--write" in sys.argv:
        write()
    else:
        print(__doc__)
