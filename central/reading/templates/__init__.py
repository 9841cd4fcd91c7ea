"""Report templates: one TOML file each, in French, English and Arabic; refused as a whole when one is not complete."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

import msgspec

from appliance.registration.folding import words

_Key = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,47}\Z")]
_Words = Annotated[str, msgspec.Meta(min_length=1, max_length=160)]


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same in each language."""

    fr: _Words
    en: _Words
    ar: _Words

    def said(self, language: str) -> str:
        """In this language; French where there is none such."""
        return {"en": self.en, "ar": self.ar}.get(language, self.fr)


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One answer; ``usual`` is the one that "everything normal" ticks."""

    id: _Key
    label: Words
    usual: bool = False


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of the form: a choice with room for words, or words alone."""

    id: _Key
    kind: Literal["choice", "text"]
    label: Words
    choices: tuple[Choice, ...] = ()


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of report. ``modalities`` are those for which it is offered first.

    ``words`` (folded beginnings) in a study's description put it before the others of its modality.
    """

    id: _Key
    title: Words
    modalities: tuple[str, ...]
    words: tuple[str, ...] = ()
    fields: tuple[Field, ...] = msgspec.field(name="field")


@cache
def templates() -> dict[str, Template]:
    """All of them by name, in order of name.

    Raises:
        ValueError: If a file is not a template, two names are equal, or a choice has nothing to choose from.
    """
    found: dict[str, Template] = {}
    for entry in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".toml"):
            continue
        template = parse(entry.read_bytes())
        if f"{template.id}.toml" != entry.name:
            raise ValueError(f"{entry.name}: calls itself {template.id}")
        found[template.id] = template
    return found


def parse(content: bytes) -> Template:
    """One template.

    Raises:
        ValueError: As ``templates``.
    """
    template = msgspec.toml.decode(content, type=Template)
    names = [field.id for field in template.fields]
    if len(names) != len(set(names)):
        raise ValueError(f"{template.id}: two fields have one name")
    for field in template.fields:
        keys = [choice.id for choice in field.choices]
        usual = sum(choice.usual for choice in field.choices)
        if len(keys) != len(set(keys)) or usual > 1 or (field.kind == "choice") != bool(keys):
            raise ValueError(f"{template.id}: the choices of {field.id} are not distinct, or do not fit its kind")
    return template


def offered(modality: str, description: str = "") -> list[Template]:
    """All templates, those made for this modality first, and of them those that the description names."""
    said = words(description)

    def rank(template: Template) -> tuple[bool, bool]:
        named = any(word.startswith(begin) for word in said for begin in template.words)
        return modality not in template.modalities, not named

    return sorted(templates().values(), key=rank)
