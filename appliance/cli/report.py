"""``qafila report ID``: see ``appliance.cli.reports``."""

from __future__ import annotations

from appliance.cli.reports import add_one as add

__all__ = ["add"]
