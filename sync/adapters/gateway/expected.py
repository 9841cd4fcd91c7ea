"""Instances that the centre was heard to have whole, and whose receipt is to come by the inbox.

Only a hint, which saves a manifest for each question after proof; bounded, and forgotten with the process.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from sync.adapters.base import SendItem

COUNT_MAX = 4096


class Expected:
    """Keyed by instance, bytes and the centre's epoch; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    def add(self, item: SendItem, epoch: str) -> None:
        """Its parts are there."""
        with self._lock:
            self._kept[item.sop_instance_uid, item.sha256, epoch] = None
            while len(self._kept) > COUNT_MAX:
                self._kept.popitem(last=False)

    def drop(self, sop_instance_uid: str, sha256: str, epoch: str) -> None:
        """Ask about it again."""
        with self._lock:
            self._kept.pop((sop_instance_uid, sha256, epoch), None)

    def __contains__(self, key: tuple[str, str, str]) -> bool:
        with self._lock:
            return key in self._kept
