"""Accepts connections, holds them to their number, and lets each association live its own life."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from appliance.config import UnitConfig
from appliance.gatekeeper import pdu
from appliance.gatekeeper.association import Association
from appliance.gatekeeper.held import HoldBudget
from appliance.gatekeeper.report import Report
from appliance.gatekeeper.violations import Violation, ViolationError
from appliance.logging import log

DISPLACE_AFTER_S = 0.5
"""A connection that has not associated by then makes room for a newcomer: an honest request takes milliseconds."""
_ACCEPT_PAUSE_S = 0.1
_BACKLOG = 128


def listen(bind: str, port: int) -> socket.socket:
    """The listening socket.

    Raises:
        OSError: If the port is in use, the address is not ours, or the port needs rights we lack.
    """
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restarted gatekeeper must not wait for connections of the one before to time out.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((bind, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class Gatekeeper:
    """The open door."""

    def __init__(self, config: UnitConfig, report: Report) -> None:
        self._config = config
        self._limits = config.limits
        self._report = report
        self._began_mono_s = report.clock.mono_s()
        self._budget = HoldBudget(config.limits.held_bytes_max)
        self._associations: list[Association] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_leaving = False
        """Power is about to go: nobody new is let in."""

    async def serve(self, listener: socket.socket) -> None:
        """Accept until cancelled; the listener is closed then."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    sock, address = await loop.sock_accept(listener)
                except OSError as error:
                    # A connection gone before it was taken, or no file descriptor left.
                    log("unit.gatekeeper", "cannot accept", error=error.strerror)
                    await asyncio.sleep(_ACCEPT_PAUSE_S)
                    continue
                self._admit(sock, str(address[0]))
        finally:
            listener.close()

    async def drain(self) -> None:
        """Let objects under way be answered, for ``drain_s_max`` at most, and end everything."""
        for association in self._associations:
            association.drain()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._limits.drain_s_max)
        for association in self._associations:
            association.cut(ViolationError("shutting-down"))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._limits.drain_s_max)

    def facts(self) -> dict[str, Any]:
        """For ``gatekeeper.live.json``."""
        limits = self._limits
        peers = [association.peer for association in self._associations]
        busiest = max((peers.count(peer) for peer in set(peers)), default=0)
        return {
            "association_count": sum(a.is_associated for a in self._associations),
            "receiving_count": self.receiving_count,
            "is_leaving": self.is_leaving,
            "open_count": len(self._associations),
            "refused": dict(self._report.counts),
            "recent": list(self._report.recent),
            "modality_count": len(self._config.modality),
            "began_mono_s": self._began_mono_s,
            "devices": self._report.tally.facts(),
            "fill": {
                "connection_count": [len(self._associations), limits.connection_count_max],
                "connection_count_per_peer": [busiest, limits.connection_count_per_peer_max],
            },
        }

    @property
    def receiving_count(self) -> int:
        """Associations with an object between its command and its response."""
        return sum(association.is_receiving for association in self._associations)

    def _admit(self, sock: socket.socket, peer: str) -> None:
        refused = "switching-off" if self.is_leaving else "" if self._has_room(peer) else "too-many-connections"
        if refused:
            self._report.violation(Violation(refused, "", peer))
            _turn_away(sock)
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        association = Association(sock, peer, self._config, self._report, self._budget)
        self._associations.append(association)
        task = asyncio.create_task(association.run())
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(association, done))

    def _has_room(self, peer: str) -> bool:
        """Whether one more may come in, if need be in the place of one that has said nothing yet."""
        of_peer = [a for a in self._associations if a.peer == peer]
        if len(of_peer) >= self._limits.connection_count_per_peer_max:
            return self._displace(of_peer)
        if len(self._associations) >= self._limits.connection_count_max:
            return self._displace(self._associations)
        return True

    def _displace(self, candidates: list[Association]) -> bool:
        now_s = asyncio.get_running_loop().time()
        waiting = [a for a in candidates if not a.is_associated and now_s - a.began_mono_s >= DISPLACE_AFTER_S]
        if not waiting:
            return False
        oldest = min(waiting, key=lambda a: a.began_mono_s)
        oldest.cut(ViolationError("displaced"))
        self._associations.remove(oldest)
        return True

    def _ended(self, association: Association, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if association in self._associations:
            self._associations.remove(association)
        if not task.cancelled() and (error := task.exception()):
            # A mistake of ours in one association must not stay unseen, and must not end the others.
            log("unit.gatekeeper", "association failed", peer=association.peer, error=repr(error))


def _turn_away(sock: socket.socket) -> None:
    """Say "local limit exceeded, come again" if the socket takes it, and close at once."""
    with sock:
        sock.setblocking(False)
        try:
            sock.send(pdu.associate_rj(pdu.REJECT_LOCAL_LIMIT))
        except OSError:
            return
