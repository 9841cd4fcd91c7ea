"""All of ``central.toml`` as one typed tree; an unknown key is refused.

Read with ``appliance.config.load``, so that both configurations speak of mistakes in the same sentences.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import math
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from appliance.config import AeTitle, ConfigError, DicomwebDestination, DimseDestination, Name, Port, load
from central.limits import GatewayLimits


class CentreTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who this centre is and where its files are."""

    name: Name = "centre"
    data_dir: Annotated[str, msgspec.Meta(min_length=1)] = "/var/lib/qafila-centre"


class PacsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The embedded PACS: an Orthanc with DICOMweb."""

    enabled: bool = True
    """Whether it runs; without it, ``[handover]`` says where studies go."""
    command: str = "Orthanc"
    ae_title: AeTitle = "CENTRAL"
    dicom_port: Port = 11113
    http_port: Port = 8043
    remote_access: bool = False
    """Whether other machines may use DICOMweb; Orthanc listens on every interface and refuses them otherwise."""
    username: str = ""
    password_file: str = ""
    """Holds the password of ``username``; without both, whoever reaches the HTTP port may read and write."""
    dicomweb_plugin: str = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


class GatewayTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The door for units."""

    enabled: bool = True
    bind: str = "127.0.0.1"
    port: Port = 8070
    certificate_file: str = ""
    """PEM chain of the certificate that units see; without it only this machine may connect."""
    key_file: str = ""
    database_url: str = ""
    """SQLAlchemy URL; empty: SQLite in the data folder."""
    parts_url: str = ""
    """``file://``, ``s3://`` and so on, as obstore knows them; empty: a folder in the data folder."""
    parts_keep_days: float = 30.0
    """How long parts stay after their files were verified: a correction then sends a header alone."""
    orthanc_url: str = ""
    """REST interface of the Orthanc behind ``[handover]``: there a correction takes the place of what was sent before.

    Empty: the embedded PACS's own; another PACS keeps what it had, and people are told.
    """
    backup_horizon_days: float = 7.0
    """The oldest backup that this centre would be restored from; part of every unit's purge rule."""
    enrol_code_hours: float = 24.0
    limits: GatewayLimits = GatewayLimits()


class ReviewTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The pages for the people at the centre."""

    enabled: bool = True
    bind: str = "127.0.0.1"
    port: Port = 8080
    certificate_file: str = ""
    """PEM chain of the certificate that browsers see; without it only this machine may connect."""
    key_file: str = ""
    language: Literal["fr", "en", "ar"] = "fr"
    """Of the pages until somebody chooses another."""
    session_hours: float = 12.0
    """A working day: after it everybody signs in anew."""
    session_idle_minutes: float = 30.0
    audit_file: str = ""
    """Who looked at what, as DICOM audit messages; empty: ``audit.log`` in the data folder."""
    audit_syslog: str = ""
    """``host:port`` of a syslog server that gets them too, by UDP; empty: none."""
    fhir_token_file: str = ""
    """Holds the token that a shared medical record shows at ``/fhir``; empty: there is no ``/fhir``."""


class ViewerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The full viewer, OHIF, on an origin of its own; it runs where OHIF was fetched."""

    enabled: bool = True
    bind: str = "127.0.0.1"
    port: Port = 8090
    certificate_file: str = ""
    """PEM chain of the certificate that browsers see; without it only this machine may connect."""
    key_file: str = ""
    url: str = ""
    """What browsers reach it by, as ``https://viewer.example``; empty: the host of the pages, and ``port``."""
    folder: str = ""
    """Where OHIF lies; empty: in the data folder, or where ``make viewer`` puts it."""
    pacs: DicomwebDestination | None = None
    """Whose DICOMweb is shown; left out: where studies are handed over to, when that speaks DICOMweb."""


class FleetTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How units and the service are watched: the service level, and ``/metrics`` on an address of its own."""

    enabled: bool = True
    bind: str = "127.0.0.1"
    port: Port = 8095
    certificate_file: str = ""
    key_file: str = ""
    token_file: str = ""
    """Holds what a scraper brings as ``Authorization: Bearer``; empty: only this machine may scrape."""
    unheard_hours: Annotated[float, msgspec.Meta(gt=0)] = 24.0
    """A unit is silent while it drives; for a day it is not."""
    unsent_hours: Annotated[float, msgspec.Meta(gt=0)] = 24.0
    """How old the oldest study may get that is not safe at the centre."""
    clock_s_max: Annotated[float, msgspec.Meta(gt=0)] = 120.0
    """How far a unit's clock may be from the centre's; a report may travel for some seconds."""
    delivery_minutes: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    """From made to readable at the centre."""
    delivery_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.95
    """How many studies shall keep ``delivery_minutes``."""
    available_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.995
    """In how many minutes units shall be able to deliver."""
    window_days: Annotated[float, msgspec.Meta(gt=0, le=366)] = 30.0
    """Over which both are counted."""


class PeerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A DICOM application that may store here and is sent its storage commitment reports."""

    ae_title: AeTitle
    host: str
    port: Port


class CentralConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of ``central.toml``."""

    centre: CentreTable = CentreTable()
    pacs: PacsTable = PacsTable()
    gateway: GatewayTable = GatewayTable()
    review: ReviewTable = ReviewTable()
    viewer: ViewerTable = ViewerTable()
    fleet: FleetTable = FleetTable()
    handover: DicomwebDestination | DimseDestination | None = None
    """Where rebuilt files go, as a unit's ``[[destination]]``; left out: the embedded PACS."""
    peer: tuple[PeerTable, ...] = ()

    @property
    def data_dir(self) -> Path:
        return Path(self.centre.data_dir)

    @property
    def database_path(self) -> Path | None:
        """The SQLite file of ours; ``None`` when ``gateway.database_url`` names another database."""
        return None if self.gateway.database_url else self.data_dir / "gateway.db"

    @property
    def database_url(self) -> str:
        return self.gateway.database_url or f"sqlite:///{self.database_path}"

    @property
    def parts_url(self) -> str:
        return self.gateway.parts_url or (self.data_dir / "parts").absolute().as_uri()

    @property
    def keys_dir(self) -> Path:
        """The keys that receipts are signed with and courier sticks are encrypted to."""
        return self.data_dir / "keys"

    @property
    def audit_path(self) -> Path:
        """Who looked at patient data, one message a line."""
        return Path(self.review.audit_file) if self.review.audit_file else self.data_dir / "audit.log"

    @property
    def runs_review(self) -> bool:
        """The pages show what the gateway brings; without it there is nothing to show."""
        return self.review.enabled and self.gateway.enabled

    @property
    def runs_fleet(self) -> bool:
        """Units are watched where they deliver to."""
        return self.fleet.enabled and self.gateway.enabled

    @property
    def viewer_pacs(self) -> DicomwebDestination | None:
        """Whose images the full viewer shows; ``None``: nobody's, for it is off or nobody speaks DICOMweb."""
        if not (self.viewer.enabled and self.runs_review):
            return None
        found = self.viewer.pacs or self.destination
        return found if isinstance(found, DicomwebDestination) else None

    @property
    def work_dir(self) -> Path:
        """Files that are being rebuilt; safe to delete when nothing runs."""
        return self.data_dir / "work"

    @property
    def destination(self) -> DicomwebDestination | DimseDestination:
        """Where rebuilt files go."""
        if self.handover is not None:
            return self.handover
        return DicomwebDestination(
            name=self.centre.name,
            url=f"http://127.0.0.1:{self.pacs.http_port}/dicom-web",
            username=self.pacs.username,
            password_file=self.pacs.password_file,
        )

    @property
    def replacing_url(self) -> str:
        """REST interface of an Orthanc that can be asked to take out what a correction replaces; empty: none can."""
        if self.gateway.orthanc_url or self.handover is not None:
            return self.gateway.orthanc_url
        return f"http://127.0.0.1:{self.pacs.http_port}"


Door = GatewayTable | ReviewTable | ViewerTable | FleetTable
"""A port of ours with its certificate."""


def load_central(path: Path) -> CentralConfig:
    """``central.toml`` with what types cannot say checked too.

    Raises:
        ConfigError: As ``appliance.config.load``, and for equal ports, a peer listed twice, half a login, a PACS that
            is open to other machines without a login, a gateway that is open to other machines without a certificate,
            studies that have nowhere to go, and a bound that bounds nothing.
    """
    config = load(path, CentralConfig)
    _check_limit_names(path)
    pacs = config.pacs
    titles = [peer.ae_title for peer in config.peer]
    for title in titles:
        if titles.count(title) > 1:
            raise ConfigError(f"{path}: two peers are called {title!r}; list each AE title once")
    _check_ports(path, config)
    if bool(pacs.username) != bool(pacs.password_file):
        raise ConfigError(f"{path}: pacs.username and pacs.password_file go together; set both or neither")
    if pacs.remote_access and not pacs.username:
        raise ConfigError(f"{path}: pacs.remote_access needs pacs.username and pacs.password_file")
    if config.gateway.enabled:
        _check_gateway(path, config)
    if config.runs_review:
        _check_review(path, config)
    if config.viewer_pacs is not None:
        _check_door(path, "viewer", config.viewer)
    if config.runs_fleet:
        _check_fleet(path, config.fleet)
    return config


def _check_limit_names(path: Path) -> None:
    """Of a dataclass, the library ignores unknown keys."""
    gateway = load(path, dict).get("gateway", {})
    known = GatewayLimits.__dataclass_fields__
    for key in gateway.get("limits", {}):
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{path}: unknown key {key!r} in gateway.limits{hint}")


def _check_ports(path: Path, config: CentralConfig) -> None:
    ports: dict[int, str] = {}
    if config.pacs.enabled:
        ports[config.pacs.dicom_port] = "pacs.dicom_port"
        if config.pacs.http_port in ports:
            raise ConfigError(
                f"{path}: pacs.dicom_port and pacs.http_port are both {config.pacs.http_port}; give each its own"
            )
        ports[config.pacs.http_port] = "pacs.http_port"
    doors = {"gateway.port": config.gateway.enabled and config.gateway.port}
    doors["review.port"] = config.runs_review and config.review.port
    doors["viewer.port"] = config.viewer_pacs is not None and config.viewer.port
    doors["fleet.port"] = config.runs_fleet and config.fleet.port
    for name, port in doors.items():
        if port and port in ports:
            raise ConfigError(f"{path}: {name} and {ports[port]} are both {port}; give each its own")
        ports[port] = name


def _check_door(path: Path, name: str, door: Door) -> None:
    if bool(door.certificate_file) != bool(door.key_file):
        raise ConfigError(f"{path}: {name}.certificate_file and {name}.key_file go together; set both or neither")
    if not door.certificate_file and not is_loopback(door.bind):
        raise ConfigError(
            f"{path}: {name}.bind = {door.bind!r} lets other machines in and needs {name}.certificate_file and "
            f"{name}.key_file: patient data does not travel in the clear"
        )


def _check_fleet(path: Path, fleet: FleetTable) -> None:
    _check_door(path, "fleet", fleet)
    if not fleet.token_file and not is_loopback(fleet.bind):
        raise ConfigError(f"{path}: fleet.bind = {fleet.bind!r} lets other machines in and needs fleet.token_file")


def _check_review(path: Path, config: CentralConfig) -> None:
    review = config.review
    _check_door(path, "review", review)
    for key, value in (
        ("session_hours", review.session_hours),
        ("session_idle_minutes", review.session_idle_minutes),
    ):
        if not 0 < value < math.inf:
            raise ConfigError(f"{path}: review.{key} is {value} and must be more than 0")
    host, _, port = review.audit_syslog.rpartition(":")
    if review.audit_syslog and not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigError(f"{path}: review.audit_syslog is {review.audit_syslog!r} and must be host:port")


def _check_gateway(path: Path, config: CentralConfig) -> None:
    gateway = config.gateway
    _check_door(path, "gateway", gateway)
    if config.handover is None and not config.pacs.enabled:
        raise ConfigError(f"{path}: pacs.enabled = false needs a [handover] table that says where studies go")
    for key, value in dataclasses.asdict(gateway.limits).items():
        if not math.isfinite(value) or value < 0 or (value == 0 and not key.startswith("free_")):
            raise ConfigError(f"{path}: gateway.limits.{key} is {value} and must be more than 0")
    for key, value in (
        ("parts_keep_days", gateway.parts_keep_days),
        ("backup_horizon_days", gateway.backup_horizon_days),
    ):
        if not 0 <= value < math.inf:
            raise ConfigError(f"{path}: gateway.{key} is {value} and must be 0 or more")
    if not 0 < gateway.enrol_code_hours < math.inf:
        raise ConfigError(f"{path}: gateway.enrol_code_hours is {gateway.enrol_code_hours} and must be more than 0")


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
