"""All of ``central.toml`` as one typed tree; an unknown key is refused.

Read with ``appliance.config.load``, so that both configurations speak of mistakes in the same sentences.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.config import AeTitle, ConfigError, Name, Port, load


class CentreTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who this centre is and where its files are."""

    name: Name = "centre"
    data_dir: str = "/var/lib/qafila-centre"


class PacsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The embedded PACS: an Orthanc with DICOMweb."""

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


class PeerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A DICOM application that may store here and is sent its storage commitment reports."""

    ae_title: AeTitle
    host: str
    port: Port


class CentralConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of ``central.toml``."""

    centre: CentreTable = CentreTable()
    pacs: PacsTable = PacsTable()
    peer: tuple[PeerTable, ...] = ()

    @property
    def data_dir(self) -> Path:
        return Path(self.centre.data_dir)


def load_central(path: Path) -> CentralConfig:
    """``central.toml`` with what types cannot say checked too.

    Raises:
        ConfigError: As ``appliance.config.load``, and for equal ports, a peer listed twice, half a login, or a PACS
            that is open to other machines without a login.
    """
    config = load(path, CentralConfig)
    pacs = config.pacs
    titles = [peer.ae_title for peer in config.peer]
    for title in titles:
        if titles.count(title) > 1:
            raise ConfigError(f"{path}: two peers are called {title!r}; list each AE title once")
    if pacs.dicom_port == pacs.http_port:
        raise ConfigError(f"{path}: pacs.dicom_port and pacs.http_port are both {pacs.http_port}; give each its own")
    if bool(pacs.username) != bool(pacs.password_file):
        raise ConfigError(f"{path}: pacs.username and pacs.password_file go together; set both or neither")
    if pacs.remote_access and not pacs.username:
        raise ConfigError(f"{path}: pacs.remote_access needs pacs.username and pacs.password_file")
    return config
