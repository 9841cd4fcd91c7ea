"""A link emulator in user space: rate, delay, loss and outages between two network namespaces of this machine.

``Link`` is for programs, ``python -m bench.link`` for people; docs/reference/link-emulator.md describes both.
"""

from bench.link.emulator import Link
from bench.link.errors import LinkError
from bench.link.report import Report
from bench.link.spec import Direction, LinkSpec, Outage, OutageKind

__all__ = ["Direction", "Link", "LinkError", "LinkSpec", "Outage", "OutageKind", "Report"]
