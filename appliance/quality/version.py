"""Apart from the checks, so that the thin process knows it without loading them."""

from __future__ import annotations

CHECKS_VERSION = 1
"""Of what is found and how; see ``registry``."""
