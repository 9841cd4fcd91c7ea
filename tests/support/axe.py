"""axe-core, the accessibility checker: ``python -m tests.support.axe`` fetches it with npm, pinned by hash.

It is for tests alone, is not part of the product and is not kept in the repository (MPL-2.0, half a megabyte).
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from central.viewer.fetch import FetchError, check, pack

if TYPE_CHECKING:
    from playwright.sync_api import Page

VERSION = "4.14.1"
INTEGRITY_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
SCRIPT = Path(__file__).parents[2] / ".cache" / f"axe-{VERSION}.min.js"
_MEMBER = "package/axe.min.js"
_RUN = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)"


def fetch() -> None:
    """Put the script into ``.cache``.

    Raises:
        FetchError: If npm gives none, or another one.
    """
    if SCRIPT.exists():
        return
    SCRIPT.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRIPT.parent, prefix=".axe-") as name:
        packed = pack(f"axe-core@{VERSION}", Path(name))
        check(packed, INTEGRITY_SHA512)
        with tarfile.open(packed, "r:gz") as archive:
            source = archive.extractfile(_MEMBER)
            assert source is not None
            fresh = Path(name) / "axe.js"
            fresh.write_bytes(source.read())
        fresh.replace(SCRIPT)


def serious_issues(page: Page) -> list[str]:
    """What axe calls serious or critical on a page as it stands, one line an element."""
    page.add_script_tag(path=SCRIPT)
    found: list[dict[str, Any]] = page.evaluate(_RUN)
    bad = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in bad for node in one["nodes"]]


if __name__ == "__main__":
    try:
        fetch()
    except FetchError as error:
        sys.exit(f"axe-core: {error}")
