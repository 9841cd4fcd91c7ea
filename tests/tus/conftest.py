"""Gateway and unit of ``tests/gateway``."""

from tests.gateway.conftest import gateway, pacs, unit

__all__ = ["gateway", "pacs", "unit"]
