"""``python -m central.viewer --config central.toml``: the process that serves the full viewer."""

from __future__ import annotations

import sys

from central.review.process import run
from central.viewer.serve import serve

if __name__ == "__main__":
    sys.exit(run("viewer", __doc__, serve))
