"""The links of the benchmark, by their letters. Rates in bit/s on IP packets; losses in both directions."""

from __future__ import annotations

from bench.link.spec import LinkSpec, Outage, OutageKind

_FLAPPING = Outage(start_s=40.0, duration_s=20.0, every_s=60.0, kind=OutageKind.FORGET)

LINKS = {
    "A": LinkSpec.symmetric(rate_bps=1e6, rtt_s=0.150, loss=0.005),
    "B": LinkSpec.symmetric(rate_bps=200e3, rtt_s=0.500, loss=0.02),
    "C": LinkSpec.symmetric(rate_bps=2e6, rtt_s=0.650, loss=0.002),
    "D": LinkSpec.symmetric(rate_bps=1e6, rtt_s=0.150, loss=0.005, outage=_FLAPPING),
    "E": LinkSpec.symmetric(rate_bps=1e6, rtt_s=0.150, loss=0.005),
}
"""E is A; what happens to the programs at its ends is ``bench/links.py``'s to do."""
