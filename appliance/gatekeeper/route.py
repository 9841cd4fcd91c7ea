"""Where an association goes: MPPS and Storage Commitment to their own process, everything else to Orthanc; pure."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from appliance.config import UnitConfig
from appliance.domain.limits import LimitSet
from appliance.gatekeeper.pdu import AssociateRequest

VERIFICATION = "1.2.840.10008.1.1"
SERVICES = frozenset(("1.2.840.10008.3.1.2.3.3", "1.2.840.10008.1.20.1"))
"""Modality Performed Procedure Step and Storage Commitment Push Model (PS3.4 annexes F and J)."""


@dataclass(frozen=True, slots=True)
class Route:
    """A process of ours on loopback."""

    name: str
    """Begins the codes of what goes wrong with it (``violations.RULES``)."""
    port: int
    answer_s_max: float
    limits: LimitSet
    """What its data sets are held to."""
    refused_context_ids: frozenset[int] = frozenset()
    """Presentation contexts that are refused whatever it says."""


def to_orthanc(config: UnitConfig) -> Route:
    """The way of images and worklists."""
    return Route("orthanc", config.orthanc.dicom_port, config.limits.orthanc_answer_s_max, config.limits)


def route_of(request: AssociateRequest, config: UnitConfig) -> Route:
    """By what is asked for; a mixed association goes to Orthanc, without the contexts of the services.

    Orthanc would take those of Storage Commitment, whatever its configuration says, and answer by its own index.
    A mere echo goes to the services when it calls them by their own title: so a device tests what was typed into it.
    """
    asked = {context.abstract_syntax for context in request.contexts}
    is_named = request.called_ae_title == services_title(config)
    if asked <= SERVICES | {VERIFICATION} and (asked & SERVICES or is_named):
        limits = config.limits
        bounded = dataclasses.replace(limits, object_bytes_max=limits.service_data_set_bytes_max)
        return Route("services", config.services.port, limits.services_answer_s_max, bounded)
    refused = frozenset(context.context_id for context in request.contexts if context.abstract_syntax in SERVICES)
    return dataclasses.replace(to_orthanc(config), refused_context_ids=refused)


def is_called_rightly(request: AssociateRequest, config: UnitConfig) -> bool:
    """Whether the called AE title is ours; that of the services counts for what goes to them only."""
    called = request.called_ae_title
    if called == config.dicom.ae_title.strip(" "):
        return True
    return called == services_title(config) and route_of(request, config).name == "services"


def services_title(config: UnitConfig) -> str | None:
    """The services' own AE title, if they have one."""
    return config.services.ae_title.strip(" ") or None
