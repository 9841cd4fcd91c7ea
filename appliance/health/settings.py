"""What a configuration allows but nobody wants: nobody may send, no centre, secrets open to all, ports in use."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from appliance import handed
from appliance.clock import Clock
from appliance.config import ConfigError, DicomwebDestination, DimseDestination, GatewayDestination, UnitConfig
from appliance.domain.wording import told
from appliance.health.check import Level, Result, Subject
from appliance.identity import KEY_NAME, IdentityError, read_identity
from appliance.live import read_live
from appliance.registration.catalogue import load_catalogue

NAME = "config"


def check(subject: Subject) -> Iterable[Result]:
    """Every doubt about the configuration, or one answer that it is fine."""
    doubts = tuple(doubts_about(subject.config, subject.clock))
    return doubts or [Result(NAME, Level.FINE, told("The configuration is fine."))]


def doubts_about(config: UnitConfig, clock: Clock) -> Iterator[Result]:
    """Shared with ``qafila config check``; reads files and tries ports, changes nothing."""
    yield from _who(config)
    yield from _paths(config)
    yield from _limits(config)
    for destination in config.destination:
        match destination:
            case DicomwebDestination():
                yield from _dicomweb(destination)
            case DimseDestination():
                yield from _dimse(destination)
            case GatewayDestination():
                yield from _gateway(config, destination)
    yield from _catalogue(config)
    yield from _programs(config)
    yield from _ports(config, clock)


def _who(config: UnitConfig) -> Iterator[Result]:
    if not config.modality:
        yield _warning("No modality is listed: nobody may send.", "Add a [[modality]] with its ae_title.")
    titles = [modality.ae_title for modality in config.modality]
    for title in sorted({title for title in titles if titles.count(title) > 1}):
        yield _warning(f"The modality {title} is listed more than once.", "Keep one [[modality]] for each AE title.")
    if not config.destination:
        yield _warning("No destination is set: studies stay on this unit.", "Add a [[destination]].")


def _paths(config: UnitConfig) -> Iterator[Result]:
    if not config.data_dir.is_absolute():
        hint = "Write the whole path, so that it does not depend on where the program is started."
        yield _warning(f"unit.data_dir is a relative path ({config.unit.data_dir}).", hint)


def _catalogue(config: UnitConfig) -> Iterator[Result]:
    try:
        load_catalogue(config.registration.catalogue)
    except ConfigError as error:
        yield _warning(f"No exam can be registered: {error}.", "Mend the file; 'qafila register --exams' shows it.")


def _limits(config: UnitConfig) -> Iterator[Result]:
    limits = config.limits
    if not limits.free_bytes_floor <= limits.free_bytes_stat_only <= limits.free_bytes_warn:
        hint = "free_bytes_floor <= free_bytes_stat_only <= free_bytes_warn."
        yield _warning("The disk limits are in the wrong order: the door refuses before it warns.", hint)
    if config.retention.backup_horizon_days <= 0:
        hint = "Set retention.backup_horizon_days to how old a backup the centre may be restored from."
        yield _warning("Images may be removed here before the centre's backup holds them.", hint)


def _dicomweb(destination: DicomwebDestination) -> Iterator[Result]:
    key = f"destination {destination.name}"
    yield from _web_address(key, destination.url, "https://host/dicom-web")
    yield from doubts_about_secret(f"{key}: password_file", destination.password_file)
    yield from _readable(f"{key}: ca_file", destination.ca_file)
    if bool(destination.username) != bool(destination.password_file):
        yield _warning(f"{key}: username and password_file go together.", "Set both or neither.")


def _gateway(config: UnitConfig, destination: GatewayDestination) -> Iterator[Result]:
    key = f"destination {destination.name}"
    yield from _web_address(key, destination.url, "https://host")
    yield from _readable(f"{key}: ca_file", destination.ca_file)
    proxy = urlsplit(destination.proxy)
    if destination.proxy and (proxy.scheme != "http" or not proxy.hostname):
        yield _warning(f"{key}: {destination.proxy!r} is no proxy's address.", "Write http://host:port.")
    enrol = f"qafila unit enrol --destination {destination.name} --code CODE"
    try:
        if read_identity(config.identity_dir, destination.name) is None:
            refusal = handed.refusal(config.handed_dir)
            why = (
                f"the code of the first boot was of no use. {refusal}"
                if refusal
                else "this unit is not enrolled there yet."
            )
            yield _warning(f"{key}: {why}", f"Ask the centre for a code: {enrol}")
            return
    except IdentityError as error:
        yield _warning(f"{key}: {error}.", enrol)
        return
    yield from doubts_about_secret(f"{key}: the unit's key", str(config.identity_dir.absolute() / KEY_NAME))


def _web_address(key: str, url: str, example: str) -> Iterator[Result]:
    try:
        address = urlsplit(url)
        is_address = address.scheme in ("http", "https") and bool(address.hostname)
    except ValueError:
        is_address = False
    if not is_address:
        yield _warning(f"{key}: {url!r} is no web address.", f"Write {example}.")
    elif address.scheme == "http" and not _is_loopback(address.hostname or ""):
        yield _warning(f"{key}: images would travel unencrypted (http).", "Use https and, if needed, ca_file.")


def _dimse(destination: DimseDestination) -> Iterator[Result]:
    key = f"destination {destination.name}"
    if not destination.tls and not _is_loopback(destination.host):
        yield _warning(f"{key}: images would travel unencrypted.", "Set tls = true, or use a protected network only.")
    if destination.proof == "wado" and not destination.wado_url:
        yield _warning(f"{key}: proof = 'wado' needs wado_url.", "Set wado_url, or another proof.")
    if destination.proof == "move" and not destination.commitment_port:
        yield _warning(f"{key}: proof = 'move' needs commitment_port.", "Set the port at which the images come back.")
    yield from _readable(f"{key}: ca_file", destination.ca_file)
    yield from _readable(f"{key}: certificate_file", destination.certificate_file)
    yield from doubts_about_secret(f"{key}: key_file", destination.key_file)


def _programs(config: UnitConfig) -> Iterator[Result]:
    if shutil.which(config.orthanc.command) is None and not Path("/usr/sbin", config.orthanc.command).exists():
        yield _warning(f"Orthanc is not here ({config.orthanc.command}).", "'make setup' installs it.")
    for key in ("python_plugin", "dicomweb_plugin"):
        yield from _readable(f"orthanc.{key}", getattr(config.orthanc, key))


def _ports(config: UnitConfig, clock: Clock) -> Iterator[Result]:
    """Only while the unit does not run: then whoever holds a port is somebody else."""
    if read_live(config.run_dir, "unit", clock) is not None:
        return
    for key, host, port in (
        ("dicom.port", config.dicom.bind, config.dicom.port),
        ("orthanc.dicom_port", "127.0.0.1", config.orthanc.dicom_port),
        ("orthanc.http_port", "127.0.0.1", config.orthanc.http_port),
    ):
        reason = _port_trouble(host, port)
        if reason:
            hint = f"Stop what uses it, or set {key} to a free port."
            yield _warning(f"{key}: port {port} on {host} cannot be used: {reason}.", hint)


def _port_trouble(host: str, port: int) -> str:
    """Why the unit could not listen there; empty when it could."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def doubts_about_secret(key: str, file_name: str) -> Iterator[Result]:
    """Whether a file with a secret can be read by us and by nobody else."""
    yield from _readable(key, file_name)
    try:
        mode = Path(file_name).stat().st_mode if file_name else 0
    except OSError:
        return
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield _warning(f"{key}: {file_name} can be read by others.", f"chmod 600 {file_name}")


def _readable(key: str, file_name: str) -> Iterator[Result]:
    """An empty name means that none is wanted."""
    if not file_name:
        return
    if not Path(file_name).is_absolute():
        yield _warning(f"{key}: {file_name} is a relative path.", "Write the whole path.")
    try:
        Path(file_name).open("rb").close()
    except OSError as error:
        yield _warning(f"{key}: {file_name} cannot be read: {error.strerror}.", "Check the name and its rights.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _warning(sentence: str, hint: str) -> Result:
    return Result(NAME, Level.WARNING, sentence, hint)
