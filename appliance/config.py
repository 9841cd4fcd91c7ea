"""One typed tree from one TOML file; an unknown key is refused and the nearest known one named.

Sources of defaults: ``docs/reference/configuration.md``. Bounds live in ``appliance.domain.limits``.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from appliance.domain.limits import LimitSet
from appliance.domain.matching import Doubt
from appliance.domain.quality import CheckCode
from appliance.domain.values import LinkKind, TrafficClass

AeTitle = Annotated[str, msgspec.Meta(pattern=r"^(?=.*[^ ])[ -\[\]-~]{1,16}\Z")]
"""1 to 16 characters of the default repertoire, no backslash, not all spaces (PS3.5, VR AE)."""
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}\Z")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
PortOrNone = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class ConfigError(Exception):
    """The configuration cannot be used; the text says where, why and what to write instead."""


class UnitTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who this unit is and where its files are."""

    name: Name = "unit-01"
    data_dir: Annotated[str, msgspec.Meta(min_length=1)] = "/var/lib/qafila"
    python: str = ""
    """Interpreter for our own processes; empty: the one that runs ``qafila``."""


class DicomTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The door that modalities see (the gatekeeper)."""

    ae_title: AeTitle = "QAFILA"
    bind: str = "0.0.0.0"
    port: Port = 11112


class ModalityTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A device that may send and ask for its worklist, known by its AE title."""

    ae_title: AeTitle
    name: str = ""
    character_set: Literal["ascii", "latin1", "utf8"] = "ascii"
    """What its console can read of a worklist answer."""
    host: str = ""
    port: PortOrNone = 0
    """Where it listens for commitment reports; without both it is told only on the association it asked on."""
    report_same_association: bool = False
    """Tell it on the association it asked on while that is open, also when it can be called."""


class ServicesTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """MPPS and Storage Commitment (``docs/reference/services.md``); the gatekeeper is their door too."""

    ae_title: Annotated[str, msgspec.Meta(pattern=r"^([ -\[\]-~]{0,15}[!-\[\]-~])?\Z")] = ""
    """A title of their own beside ``dicom.ae_title``, for devices that want one; empty: none."""
    port: Port = 14243
    """On loopback, behind the gatekeeper."""
    device_port: PortOrNone = 0
    """One more port of the gatekeeper, for devices that want one for each service; 0: none."""


class CompletionTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a study counts as complete though its device does not say so."""

    quiet_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    quiet_s_by_modality: dict[str, Annotated[float, msgspec.Meta(gt=0)]] = msgspec.field(
        default_factory=lambda: {"US": 1800.0}
    )
    """An ultrasound examination pauses longer than a series of films."""
    step_quiet_s: Annotated[float, msgspec.Meta(gt=0)] = 14_400.0
    """While the device says that it is still at work: one that was switched off says so for ever."""


class OrthancTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The Orthanc behind the door; both its ports listen on loopback only."""

    command: str = "Orthanc"
    dicom_port: Port = 14242
    http_port: Port = 18042
    python_plugin: str = "/usr/share/orthanc/plugins/libOrthancPython.so"
    dicomweb_plugin: str = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


class DicomwebDestination(
    msgspec.Struct, tag_field="kind", tag="dicomweb", frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """A PACS that speaks STOW-RS, QIDO-RS and WADO-RS."""

    name: Name
    url: str
    """Base of the DICOMweb services, for instance ``https://pacs.example/dicom-web``."""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    """PEM bundle that alone is trusted; empty: the system's."""


class DimseDestination(
    msgspec.Struct, tag_field="kind", tag="dimse", frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """A PACS that speaks C-STORE, over TCP or TLS."""

    name: Name
    host: str
    port: Port
    called_ae_title: AeTitle
    calling_ae_title: AeTitle = "QAFILA"
    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    proof: Literal["commitment", "move", "wado"] = "commitment"
    """``commitment`` (Storage Commitment), ``move`` (C-MOVE back to us) or ``wado`` (``wado_url``)."""
    commitment_port: PortOrNone = 0
    """Where we listen for the peer's commitment report or C-MOVE; 0: only on our own association."""
    wado_url: str = ""


class GatewayDestination(
    msgspec.Struct, tag_field="kind", tag="gateway", frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """A centre's gateway (``docs/reference/gateway-protocol.md``); the unit is enrolled there first."""

    name: Name
    url: str
    """For instance ``https://gateway.example``."""
    ca_file: str = ""
    """PEM bundle that alone is trusted; empty: the system's."""
    proxy: str = ""
    """``http://host:port`` of a proxy to go through; none is ever taken from the environment."""
    flow_count: Annotated[int, msgspec.Meta(ge=0, le=8)] = 0
    """Connections that images go up over; 0: one under bbr, which fills a link by itself, otherwise several."""
    congestion: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_-]{1,15}\Z")] = "auto"
    """TCP congestion control: ``auto`` (bbr where the kernel offers it), ``system``, or a name the kernel knows."""
    courier_recovery_recipient: str = ""
    """A second age recipient (``age1...``) that sticks are encrypted to, so that the organiser can open them too."""


DestinationTable = DicomwebDestination | DimseDestination | GatewayDestination


HoursText = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)\Z")]
"""``20:00-06:00`` in the unit's local time; an end before the start is on the next day."""


class NetworkTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the unit's way to the world is made of."""

    kind: Literal["auto", "wired", "wifi", "sim", "satellite", "unknown"] = "auto"
    """``auto`` asks NetworkManager, and is ``unknown`` where that does not run; a metered link counts as ``sim``."""


class LinkTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one kind of link may be used for; a kind without a table may be used for everything at any time."""

    kind: LinkKind
    budget_bytes_per_day: Annotated[int, msgspec.Meta(ge=0)] = 0
    """0: no budget."""
    budget_classes: tuple[TrafficClass, ...] = (TrafficClass.PREVIEW, TrafficClass.FULL)
    """What waits for tomorrow once the budget is used up; STAT only when it is named here."""
    hours: dict[TrafficClass, tuple[HoursText, ...]] = {}
    """When a class may go; one that is not named may go at any hour."""


class RetentionTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a confirmed study's pixels may leave this unit (``faults.md``, purge rule)."""

    keep_days_min: float = 14.0
    backup_horizon_days: float = 7.0
    """A receipt must be older than this before its pixels may go: a restored centre may have lost them."""


class MatchingTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose pictures these are (``docs/reference/corrections.md``)."""

    hold: tuple[Doubt, ...] = ()
    """Exceptions that keep their study here until a person decides; STAT is sent all the same. None: all is sent."""


class QualityTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What people are told of a picture, and what keeps it here (``docs/reference/quality.md``)."""

    hold: tuple[CheckCode, ...] = ()
    """Findings that keep their study here until somebody releases it or marks it STAT with a reason."""
    deviation_low_warning: float = -3.0
    deviation_low_notice: float = -1.0
    deviation_high_notice: float = 1.0
    deviation_high_warning: float = 3.0
    """Deviation indices (IEC 62494-1) beyond which exposure is spoken of."""
    clipped_share_max: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.02
    """Of the field that was exposed, without the air around the body."""
    loop_s_min: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    clock_ahead_s_max: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    clock_behind_s_max: Annotated[float, msgspec.Meta(gt=0)] = 86_400.0


class ImportTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Pictures, videos and papers that no modality sends (``docs/reference/imports.md``)."""

    ae_title: AeTitle = "QAFILA-IMPORT"
    """What the unit's own import calls itself at the door; admitted from this machine only."""
    folder: str = ""
    """Watched for files, in sub-folders named by accession number; empty: none is watched."""


class RegistrationTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What people register with (``docs/reference/registration.md``)."""

    catalogue: str = ""
    """TOML file of the exams that can be ordered; empty: the one that ships."""
    prefix: Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]{0,6}\Z")] = ""
    """Of this unit's patient IDs and accession numbers, another one on every unit; empty: made from ``unit.name``."""
    language: Literal["fr", "en"] = "fr"
    """Of the exam's description on consoles and in images; Latin letters, for most consoles read no others."""
    national_issuer: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}\Z")] = "NATIONAL"
    """Issuer of the number that ``--national-id`` takes."""


class ScreenTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``qafila tui`` (``docs/how-to/read-the-screen.md``)."""

    language: Literal["fr", "en", "ar"] = "fr"
    """The screen starts with; anybody may switch. The Arabic labels are a pilot."""
    arabic_names: Literal["shaped", "latin"] = "shaped"
    """``latin`` over terminals that order Arabic themselves (most that people use over SSH): shown twice turned."""
    graphics: Literal["auto", "sixel", "kitty", "cells"] = "auto"
    """How pictures are shown; ``auto`` goes by the terminal's name. ``cells`` are for orientation only."""
    lock_after_s: Annotated[int, msgspec.Meta(ge=30, le=86_400)] = 600
    """Of nobody pressing a key; where people sign in."""
    power_off_command: tuple[str, ...] = ()
    """What F12 ends with, on a machine that is nothing but a unit; empty: it only says that power may go."""


class UnitConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of ``unit.toml``."""

    unit: UnitTable = UnitTable()
    dicom: DicomTable = DicomTable()
    modality: tuple[ModalityTable, ...] = ()
    orthanc: OrthancTable = OrthancTable()
    destination: tuple[DestinationTable, ...] = ()
    network: NetworkTable = NetworkTable()
    link: tuple[LinkTable, ...] = ()
    retention: RetentionTable = RetentionTable()
    quality: QualityTable = QualityTable()
    matching: MatchingTable = MatchingTable()
    services: ServicesTable = ServicesTable()
    completion: CompletionTable = CompletionTable()
    screen: ScreenTable = ScreenTable()
    imports: ImportTable = msgspec.field(default=ImportTable(), name="import")
    registration: RegistrationTable = RegistrationTable()
    limits: LimitSet = LimitSet()

    @property
    def data_dir(self) -> Path:
        return Path(self.unit.data_dir)

    @property
    def unit_db(self) -> Path:
        """The truth about delivery."""
        return self.data_dir / "unit.db"

    @property
    def door_db(self) -> Path:
        """The plugin's ledger of what was kept."""
        return self.data_dir / "door.db"

    @property
    def blob_dir(self) -> Path:
        """Stored Part 10 files, ``blobs/ab/<uuid>``."""
        return self.data_dir / "blobs"

    @property
    def quarantine_dir(self) -> Path:
        """What was set aside; nothing here is ever delivered or deleted by itself."""
        return self.data_dir / "quarantine"

    @property
    def orthanc_dir(self) -> Path:
        """Orthanc's index and its rendered configuration."""
        return self.data_dir / "orthanc"

    @property
    def identity_dir(self) -> Path:
        """The unit's key, and what each gateway enrolled it as; see ``appliance.identity``."""
        return self.data_dir / "identity"

    @property
    def handed_dir(self) -> Path:
        """What first boot and screen hand over; see ``appliance.handed``."""
        return self.data_dir / "handed"

    @property
    def run_dir(self) -> Path:
        """Secrets and process ids of this run; safe to delete when nothing runs."""
        return self.data_dir / "run"


def blob_path(blob_dir: Path, blob_uuid: str) -> Path:
    """Where the stored file of ``blob_uuid`` lies; the UUID is checked, so it can never leave ``blob_dir``."""
    if len(blob_uuid) != 36 or any(c not in "0123456789abcdef-" for c in blob_uuid):
        raise ValueError(f"not a blob uuid: {blob_uuid!r}")
    return blob_dir / blob_uuid[:2] / blob_uuid


_T = TypeVar("_T")


def load(path: Path, kind: type[_T]) -> _T:
    """Read a TOML file into a typed tree.

    Args:
        path: The file.
        kind: The tree's type, for instance ``UnitConfig``.

    Raises:
        ConfigError: If the file cannot be read, is no TOML, or holds an unknown key or a value out of range; the text
            names the place and, for an unknown key, the nearest known one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    limits = tree.get("limits")
    for key in limits if isinstance(limits, dict) else ():
        if key not in LimitSet.__dataclass_fields__:
            raise ConfigError(f"{path}: {_unknown(key, 'limits', kind)}")
    try:
        return msgspec.convert(tree, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_explain(str(error), kind)}") from error


def load_unit(path: Path) -> UnitConfig:
    """``unit.toml`` with what types cannot say checked too.

    Raises:
        ConfigError: As ``load``, for two destinations of one name or two of our ports that are equal, for a proof
            that lacks what it needs, for two tables of one kind of link, and for a bound that bounds nothing.
    """
    config = load(path, UnitConfig)
    _check_numbers(path, config)
    names = [d.name for d in config.destination]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: two destinations are called {name!r}; every destination needs its own name")
    for destination in config.destination:
        if isinstance(destination, DimseDestination):
            _check_proof(path, destination)
    for modality in config.modality:
        if bool(modality.host) != bool(modality.port):
            raise ConfigError(f"{path}: modality {modality.ae_title!r}: host and port come together, or neither")
    kinds = [link.kind for link in config.link]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ConfigError(f"{path}: two [[link]] tables are of kind {kind.value!r}; put both into one")
    ports = {"dicom.port": config.dicom.port}
    for key, port in (
        ("orthanc.dicom_port", config.orthanc.dicom_port),
        ("orthanc.http_port", config.orthanc.http_port),
        ("services.port", config.services.port),
        ("services.device_port", config.services.device_port),
    ):
        clash = next((other for other, taken in ports.items() if taken == port), None)
        if clash and port:
            raise ConfigError(f"{path}: {key} and {clash} are both {port}; give each its own port")
        ports[key] = port
    return config


def _check_proof(path: Path, destination: DimseDestination) -> None:
    """A proof that cannot work would leave every study at "sent" for ever."""
    if destination.proof == "move" and not destination.commitment_port:
        raise ConfigError(
            f"{path}: destination {destination.name!r}: proof = 'move' needs commitment_port, where the peer sends "
            "the pictures back to"
        )
    if destination.proof == "wado" and not destination.wado_url:
        raise ConfigError(f"{path}: destination {destination.name!r}: proof = 'wado' needs wado_url")


def _check_numbers(path: Path, config: UnitConfig) -> None:
    """A back-off of no time spins, a batch of no items sends nothing, an age below zero lets pictures go too early."""
    for key, value in dataclasses.asdict(config.limits).items():
        may_be_zero = key.startswith("free_")
        if not math.isfinite(value) or value < 0 or (value == 0 and not may_be_zero):
            least = "0 or more" if may_be_zero else "more than 0"
            raise ConfigError(f"{path}: limits.{key} is {value} and must be {least}")
    for key, value in (
        ("keep_days_min", config.retention.keep_days_min),
        ("backup_horizon_days", config.retention.backup_horizon_days),
    ):
        if not 0 <= value < math.inf:
            raise ConfigError(f"{path}: retention.{key} is {value} and must be 0 or more")
    quality = config.quality
    bands = (
        quality.deviation_low_warning,
        quality.deviation_low_notice,
        0.0,
        quality.deviation_high_notice,
        quality.deviation_high_warning,
    )
    if not all(math.isfinite(band) for band in bands) or list(bands) != sorted(bands):
        raise ConfigError(
            f"{path}: quality.deviation_low_warning, deviation_low_notice, 0, deviation_high_notice and "
            "deviation_high_warning must rise in this order"
        )


def _explain(message: str, kind: type) -> str:
    """msgspec's sentence with the nearest known key added."""
    found = re.match(r"Object contains unknown field `(?P<key>[^`]*)`(?: - at `\$\.?(?P<place>[^`]*)`)?", message)
    if not found:
        return message
    return _unknown(found["key"], found["place"] or "the top level", kind)


def _unknown(key: str, place: str, kind: type) -> str:
    near = difflib.get_close_matches(key, sorted(_known_keys(kind)), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown key {key!r} in {place}{hint}"


def _known_keys(kind: type) -> set[str]:
    """The keys of a tree's type and of every table in it."""
    keys: set[str] = set()
    waiting: list[Any] = [msgspec.inspect.type_info(kind)]
    while waiting:
        node = waiting.pop()
        fields = getattr(node, "fields", ())
        keys.update(field.encode_name for field in fields)
        waiting += [field.type for field in fields] + list(getattr(node, "types", ()))
        waiting += [getattr(node, part) for part in ("item_type", "value_type") if hasattr(node, part)]
    return keys
