"""Free TCP ports, chosen as the demo chooses them."""

from __future__ import annotations

from appliance.cli.demo.ports import free_port, free_ports

__all__ = ["free_port", "free_ports"]
