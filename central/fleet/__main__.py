"""``python -m central.fleet --config central.toml``: the process that watches, and tells metrics."""

from __future__ import annotations

import sys

from central.fleet.serve import serve
from central.review.process import run

if __name__ == "__main__":
    sys.exit(run("fleet", __doc__, serve))
