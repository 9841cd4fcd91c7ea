"""What a unit is asked once, and the files that follow from it; pure.

Answers come from people at the unit's own screen, or as one TOML text (a virtual machine's host hands it over as a
systemd credential).
"""

from __future__ import annotations

import ipaddress
import json
import tomllib
from typing import Annotated, Any, Literal

import msgspec

from appliance import handed
from appliance.config import AeTitle, Name, Port
from appliance.firstboot.tpm import PIN_DIGITS_MAX, PIN_DIGITS_MIN
from appliance.people import NAME_CHARS_MAX, pins
from appliance.registration.folding import clean

PASSPHRASE_LENGTH_MIN = 12
DOOR_PORT = 11112
UNIT_FOLDER = "unit"
"""The unit's data folder, below the data partition's mount."""
KEYMAPS = {"fr": "fr-latin9", "us": "us", "ara": "us", "gb": "uk", "be": "be-latin1", "ch": "sg-latin1"}
"""The console's keymap of each keyboard; on an Arabic one a passphrase is typed as on an American one."""
_HOST = r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\Z"
_INTERFACE = r"^[A-Za-z0-9_-]{0,15}\Z"


class AnswersError(ValueError):
    """The answers cannot be used; the text says which, why and what to say instead."""


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a unit is enrolled with."""

    name: Name
    passphrase: Annotated[str, msgspec.Meta(min_length=PASSPHRASE_LENGTH_MIN, max_length=512)]
    """Opens the data partition at every start, where no PIN does."""
    tpm_pin: Annotated[str, msgspec.Meta(pattern=rf"^([0-9]{{{PIN_DIGITS_MIN},{PIN_DIGITS_MAX}}})?\Z")] = ""
    """Opens it too, in a machine with a TPM 2.0; empty: only the passphrase does."""
    supervisor: Annotated[str, msgspec.Meta(max_length=NAME_CHARS_MAX)] = ""
    """The first person who may sign in; empty: nobody has to."""
    supervisor_pin: str = ""
    language: Literal["fr", "en", "ar"] = "fr"
    keyboard: Literal["fr", "us", "ara", "gb", "be", "ch"] = "fr"
    modality_interface: Annotated[str, msgspec.Meta(pattern=_INTERFACE)] = ""
    """Network socket of the modalities; empty: the first wired one."""
    modality_address: str = "192.168.50.1/24"
    """This unit's address on the modalities' network, with its prefix; only that network may call the door."""
    ae_title: AeTitle = "QAFILA"
    modalities: tuple[AeTitle, ...] = ()
    """AE titles that may send."""
    report_ports: tuple[Port, ...] = ()
    """Ports on the modalities' side that commitment reports go to."""
    centre_host: Annotated[str, msgspec.Meta(pattern=r"^\Z|" + _HOST)] = ""
    """Name of the centre's gateway; empty: none yet."""
    centre_port: Port = 443
    centre_code: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9 -]{0,64}\Z")] = ""
    """The centre's one-time code; the unit enrols itself with it at its first contact."""
    centre_ca: str = ""
    """PEM of the authority that alone is trusted; empty: the system's."""
    time_servers: tuple[Annotated[str, msgspec.Meta(pattern=_HOST)], ...] = ()
    wifi_name: Annotated[str, msgspec.Meta(max_length=32)] = ""
    wifi_password: Annotated[str, msgspec.Meta(max_length=63)] = ""
    sim_apn: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{0,100}\Z")] = ""


def read_answers(text: str) -> Answers:
    """Answers as TOML.

    Raises:
        AnswersError: With the key that is wrong.
    """
    try:
        return checked(msgspec.convert(tomllib.loads(text), Answers))
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise AnswersError(str(error)) from error


_TYPES = {field.name: field.type for field in msgspec.structs.fields(Answers)}


def check_one(key: str, value: Any) -> None:
    """Whether one answer can be used by itself; raises ``AnswersError``."""
    try:
        msgspec.convert(value, _TYPES[key])
    except msgspec.ValidationError as error:
        raise AnswersError(f"{key}: {error}") from error
    if key == "modality_address":
        _interface(value)
    elif key == "passphrase" and not (value.isascii() and value.isprintable()):
        raise AnswersError("passphrase: only letters without accents, digits and signs are the same on every keyboard")
    elif key in ("tpm_pin", "supervisor_pin") and value:
        try:
            pins.checked(value)
        except pins.PinRefusedError as error:
            raise AnswersError(f"{key}: {error}") from error


def checked(answers: Answers) -> Answers:
    """The answers, when they also fit together; raises ``AnswersError``."""
    for key in ("modality_address", "passphrase", "tpm_pin", "supervisor_pin"):
        check_one(key, getattr(answers, key))
    if bool(clean(answers.supervisor)) != bool(answers.supervisor_pin):
        raise AnswersError("supervisor and supervisor_pin go together: a name and a PIN")
    for text in (answers.wifi_name, answers.wifi_password):
        if not text.isprintable():
            raise AnswersError("the Wi-Fi's name and password are of characters that can be seen")
    if answers.centre_code and not answers.centre_host:
        raise AnswersError("there is a code of a centre, and no name of that centre")
    if answers.wifi_password and len(answers.wifi_password) < 8:
        raise AnswersError("a Wi-Fi password has 8 characters or more")
    return answers


def network_of(answers: Answers) -> ipaddress.IPv4Interface:
    """Address and network of the modality side; raises ``AnswersError``."""
    return _interface(answers.modality_address)


def _interface(address: str) -> ipaddress.IPv4Interface:
    try:
        interface = ipaddress.IPv4Interface(address)
    except ValueError as error:
        raise AnswersError(f"modality_address {address!r}: {error}") from error
    if not 8 <= interface.network.prefixlen <= 30 or not interface.ip.is_private:
        raise AnswersError(f"modality_address {address!r} is no private address with its /8 to /30")
    return interface


def files(answers: Answers) -> dict[str, str]:
    """What lies on the data partition afterwards: text by path below ``/data``; no passphrase and no PIN is in it.

    Raises:
        AnswersError: If no network socket is named, where no modality could ever send.
    """
    if not answers.modality_interface:
        raise AnswersError("there is no network socket for the modalities")
    made = {
        "etc/unit.toml": _unit_toml(answers),
        "etc/network.nft": _firewall(answers),
        "etc/keyboard.env": f"XKB_DEFAULT_LAYOUT={answers.keyboard}\n",
        "network/modality.nmconnection": _modality_connection(answers),
        "network/wired.nmconnection": _WIRED,
    }
    if answers.centre_code:
        made[f"{UNIT_FOLDER}/{handed.FOLDER}/{handed.CODE}"] = answers.centre_code + "\n"
    if answers.supervisor:
        person = handed.FirstPerson(
            name=clean(answers.supervisor), pin_hash=pins.hashed(pins.checked(answers.supervisor_pin))
        )
        made[f"{UNIT_FOLDER}/{handed.FOLDER}/{handed.SUPERVISOR}"] = msgspec.json.encode(person).decode()
    if answers.centre_ca:
        made["etc/centre-ca.pem"] = answers.centre_ca
    if answers.time_servers:
        made["etc/chrony/unit.sources"] = "".join(f"server {name} iburst\n" for name in answers.time_servers)
    if answers.wifi_name:
        made["network/wifi.nmconnection"] = _wifi(answers)
    if answers.sim_apn:
        made["network/sim.nmconnection"] = _SIM.format(apn=answers.sim_apn)
    return made


def _unit_toml(answers: Answers) -> str:
    address = network_of(answers).ip
    text = f'[unit]\nname = {_quoted(answers.name)}\ndata_dir = "/data/{UNIT_FOLDER}"\npython = "/usr/bin/python3"\n\n'
    text += f'[screen]\nlanguage = "{answers.language}"\n'
    text += 'power_off_command = ["/usr/bin/systemctl", "poweroff"]\n\n'
    text += f"[dicom]\nae_title = {_quoted(answers.ae_title)}\nport = {DOOR_PORT}\n"
    text += f"# Modalities call {address}; the firewall keeps every other side out.\n"
    for title in answers.modalities:
        text += f"\n[[modality]]\nae_title = {_quoted(title)}\n"
    if answers.centre_host:
        url = f"https://{answers.centre_host}:{answers.centre_port}"
        text += f'\n[[destination]]\nkind = "gateway"\nname = "centre"\nurl = {_quoted(url)}\n'
        text += 'ca_file = "/etc/qafila/centre-ca.pem"\n' if answers.centre_ca else ""
    return text


def _quoted(value: str) -> str:
    """A TOML basic string; JSON escapes are a subset of TOML's for text without surrogates."""
    return json.dumps(value, ensure_ascii=False)


def _firewall(answers: Answers) -> str:
    """Elements for the sets of ``/etc/nftables.conf``; loading it twice changes nothing."""
    lines = [
        ("modality_if", [f'"{answers.modality_interface}"']),
        ("modality_peer", [str(network_of(answers).network)]),
        ("door_port", [str(DOOR_PORT)]),
        ("centre_port", [str(answers.centre_port)] if answers.centre_host else []),
        ("report_port", [str(port) for port in answers.report_ports]),
    ]
    return "".join(
        f"flush set inet qafila {name}\n"
        + (f"add element inet qafila {name} {{ {', '.join(elements)} }}\n" if elements else "")
        for name, elements in lines
    )


def _modality_connection(answers: Answers) -> str:
    return _MODALITY.format(interface=answers.modality_interface, address=network_of(answers).with_prefixlen)


def _wifi(answers: Answers) -> str:
    """A keyfile takes the name as bytes, so that no character of it can end a line or a list."""
    name = "".join(f"{byte};" for byte in answers.wifi_name.encode("utf-8"))
    text = f"[connection]\nid=wifi\ntype=wifi\n\n[wifi]\nmode=infrastructure\nssid={name}\n\n"
    if answers.wifi_password:
        escaped = answers.wifi_password.replace("\\", "\\\\").replace(" ", "\\s")
        text += f"[wifi-security]\nkey-mgmt=wpa-psk\npsk={escaped}\n\n"
    return text + _DYNAMIC


_DYNAMIC = "[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n"
_WIRED = f"[connection]\nid=wired\ntype=ethernet\nautoconnect-priority=-10\n\n[ethernet]\n\n{_DYNAMIC}"
_SIM = (
    "[connection]\nid=sim\ntype=gsm\nautoconnect-priority=-20\nmetered=1\n\n[gsm]\napn={apn}\n\n"
    "[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n"
)
_MODALITY = (
    "[connection]\nid=modality\ntype=ethernet\ninterface-name={interface}\nautoconnect-priority=100\n\n[ethernet]\n\n"
    "[ipv4]\nmethod=manual\naddress1={address}\nnever-default=true\n\n[ipv6]\nmethod=disabled\n"
)
