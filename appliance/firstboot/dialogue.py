"""The questions at the unit's own screen: plain text, one at a time, asked again until the answer can be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from appliance.firstboot.answers import KEYBOARDS, PASSPHRASE_LENGTH_MIN, Answers, AnswersError, checked

Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Terminal:
    """How to ask and say; tests give a script."""

    ask: Ask
    ask_hidden: Ask
    say: Callable[[str], None]


QUESTIONS = (
    ("name", "Name of this unit / Nom de cette unité (a-z, 0-9, -)", ""),
    ("language", "Language / Langue (fr, en, ar)", "fr"),
    ("keyboard", f"Keyboard / Clavier ({', '.join(KEYBOARDS)})", "fr"),
    ("modality_interface", "Network socket of the modalities / Prise réseau des modalités", ""),
    ("modality_address", "Address of this unit there / Adresse de l'unité", "192.168.50.1/24"),
    ("ae_title", "AE title of this unit / Titre AE de l'unité", "QAFILA"),
    ("modalities", "AE titles of the modalities, with commas / Titres AE des modalités, avec des virgules", ""),
    ("centre_host", "Name of the centre's gateway / Nom du centre (empty: later / vide : plus tard)", ""),
    ("centre_code", "The centre's one-time code / Code à usage unique du centre (XXXX-XXXX-XXXX-XXXX)", ""),
    ("wifi_name", "Wi-Fi (empty: none / vide : aucun)", ""),
    ("sim_apn", "SIM card, APN (empty: none / vide : aucune)", ""),
)
"""Key, question and what Enter alone means."""


def ask_all(terminal: Terminal, interfaces: tuple[str, ...]) -> Answers:
    """Ask until all of it can be used."""
    terminal.say("QAFILA - first start / premier démarrage")
    terminal.say(f"Network sockets / Prises réseau : {', '.join(interfaces) or '-'}")
    first = interfaces[0] if interfaces else ""
    while True:
        given: dict[str, object] = {}
        for key, question, usual in QUESTIONS:
            usual = first if key == "modality_interface" else usual
            given[key] = terminal.ask(f"{question}{f' [{usual}]' if usual else ''}: ").strip() or usual
        given["modalities"] = [title.strip() for title in str(given["modalities"]).split(",") if title.strip()]
        if given["wifi_name"]:
            given["wifi_password"] = terminal.ask_hidden("Wi-Fi password / Mot de passe Wi-Fi: ")
        given["passphrase"] = _passphrase(terminal)
        try:
            return checked(msgspec.convert(given, Answers))
        except (msgspec.ValidationError, AnswersError) as error:
            terminal.say(f"This cannot be used / Ceci ne convient pas : {error}")


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


def _passphrase(terminal: Terminal) -> str:
    """Asked twice: a mistyped one locks a unit out of its own disk."""
    while True:
        first = terminal.ask_hidden(
            f"Passphrase of the disk / Phrase secrète du disque ({PASSPHRASE_LENGTH_MIN} characters or more): "
        )
        if len(first) < PASSPHRASE_LENGTH_MIN:
            terminal.say("Too short / Trop court")
        elif terminal.ask_hidden("Once more / Encore une fois: ") == first:
            return first
        else:
            terminal.say("Not the same / Pas la même")
