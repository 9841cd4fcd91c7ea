"""The questions at the unit's own screen: plain text, one at a time, asked again until the answer can be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from appliance.firstboot.answers import KEYMAPS, PASSPHRASE_LENGTH_MIN, Answers, AnswersError, check_one, checked
from appliance.firstboot.tpm import PIN_DIGITS_MAX, PIN_DIGITS_MIN

Ask = Callable[[str], str]
NONE = "-"
"""Typed to take an earlier answer back."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """How to ask and say; tests give a script."""

    ask: Ask
    ask_hidden: Ask
    say: Callable[[str], None]
    use_keymap: Callable[[str], None] = lambda keymap: None
    """Everything is typed on this keymap of the console from now on."""


QUESTIONS = (
    ("keyboard", f"Keyboard / Clavier ({', '.join(KEYMAPS)})", "fr"),
    ("language", "Language of the screen / Langue de l'écran (fr, en, ar)", "fr"),
    ("name", "Name of this unit / Nom de cette unité (a-z, 0-9, -)", ""),
    ("modality_interface", "Network socket of the modalities / Prise réseau des modalités", ""),
    ("modality_address", "Address of this unit there / Adresse de l'unité", "192.168.50.1/24"),
    ("ae_title", "AE title of this unit / Titre AE de l'unité", "QAFILA"),
    ("modalities", "AE titles of the modalities, with commas / Titres AE des modalités, avec des virgules", ""),
    ("centre_host", "Name of the centre's gateway / Nom du centre (empty: later / vide : plus tard)", ""),
    ("centre_code", "The centre's one-time code / Code à usage unique du centre (XXXX-XXXX-XXXX-XXXX)", ""),
    ("wifi_name", "Wi-Fi (empty: none / vide : aucun)", ""),
    ("sim_apn", "SIM card, APN (empty: none / vide : aucune)", ""),
    ("supervisor", "First supervisor, who adds the others / Responsable, qui ajoute les autres (empty / vide : -)", ""),
)
"""Key, question and what Enter alone means."""
_UNUSABLE = "This cannot be used / Ceci ne convient pas"


def ask_all(terminal: Terminal, interfaces: tuple[str, ...], *, has_tpm: bool = False) -> Answers:
    """Ask until all of it can be used and somebody says that it is right."""
    terminal.say("QAFILA - first start / premier démarrage")
    terminal.say(f"Network sockets / Prises réseau : {', '.join(interfaces) or '-'}")
    given: dict[str, Any] = {"modality_interface": interfaces[0] if interfaces else ""}
    while True:
        for key, question, usual in QUESTIONS:
            if key == "centre_code" and not given["centre_host"]:
                given[key] = ""
                continue
            given[key] = _answer(terminal, key, question, given.get(key) or usual)
            if key == "keyboard":
                terminal.use_keymap(KEYMAPS[given[key]])
        secrets = _secrets(terminal, given, has_tpm)
        try:
            answers = checked(msgspec.convert({**given, **secrets}, Answers))
        except (msgspec.ValidationError, AnswersError) as error:
            terminal.say(f"{_UNUSABLE} : {error}")
            continue
        for key, question, _ in QUESTIONS:
            terminal.say(f"  {question.split(' (')[0]} : {_shown(given[key])}")
        if terminal.ask("Is this right? / Est-ce juste ? (y, o / n): ").strip().lower()[:1] in ("y", "o"):
            return answers


def _answer(terminal: Terminal, key: str, question: str, usual: Any) -> Any:
    shown = _shown(usual)
    while True:
        typed = terminal.ask(f"{question}{f' [{shown}]' if shown else ''}: ").strip() or shown
        value: Any = "" if typed == NONE else typed
        if key == "modalities":
            value = [title.strip() for title in value.split(",") if title.strip()]
        try:
            check_one(key, value)
        except AnswersError as error:
            terminal.say(f"{_UNUSABLE} : {error}")
        else:
            return value


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _secrets(terminal: Terminal, given: dict[str, Any], has_tpm: bool) -> dict[str, str]:
    secrets = {}
    if given["wifi_name"]:
        secrets["wifi_password"] = terminal.ask_hidden("Wi-Fi password / Mot de passe Wi-Fi: ")
    if given["supervisor"]:
        question = "PIN of the supervisor, 4 to 12 digits / Code PIN du responsable, 4 à 12 chiffres: "
        secrets["supervisor_pin"] = _twice(terminal, "supervisor_pin", question)
    question = (
        f"Passphrase of the disk, {PASSPHRASE_LENGTH_MIN} characters or more, no accents / "
        f"Phrase secrète du disque, {PASSPHRASE_LENGTH_MIN} caractères au moins, sans accents: "
    )
    secrets["passphrase"] = _twice(terminal, "passphrase", question)
    if has_tpm:
        digits = f"{PIN_DIGITS_MIN} to/à {PIN_DIGITS_MAX}"
        question = f"PIN of the disk for every start / Code PIN du disque à chaque démarrage ({digits}): "
        secrets["tpm_pin"] = _twice(terminal, "tpm_pin", question)
    return secrets


def _twice(terminal: Terminal, key: str, question: str) -> str:
    """A mistyped one locks people out of their own unit."""
    while True:
        first = terminal.ask_hidden(question).strip("\r\n")
        try:
            check_one(key, first)
        except AnswersError as error:
            terminal.say(f"{_UNUSABLE} : {error}")
            continue
        if not first:
            terminal.say("Nothing was typed / Rien n'a été tapé")
        elif terminal.ask_hidden("Once more / Encore une fois: ") == first:
            return first
        else:
            terminal.say("Not the same / Pas la même")


def show_recovery_key(terminal: Terminal, key: str) -> None:
    """Until somebody has written it down, for it is never shown again: its last letters are asked for."""
    terminal.say(
        "Recovery key: write it down and keep it far from this unit; it opens the disk when the passphrase is lost."
    )
    terminal.say(
        "Clé de secours : notez-la et gardez-la loin de l'unité ; elle ouvre le disque sans la phrase secrète."
    )
    terminal.say(f"\n    {key}\n")
    while terminal.ask("Its last five letters / Ses cinq dernières lettres : ").strip().lower() != key[-5:]:
        terminal.say("Not the same / Pas les mêmes")
