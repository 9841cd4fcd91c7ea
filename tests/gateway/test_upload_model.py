"""The upload state machine against a model of a few lines: whatever is asked for in whatever order, both agree."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection

from central.gateway.admission import Position, Wanted
from central.gateway.append import Receive
from central.gateway.objects import Objects
from central.gateway.problems import Refusal
from central.gateway.uploads import Uploads
from central.limits import GatewayLimits
from central.store import parts
from central.store.database import Database, sqlite_url
from central.store.migrations import migrate
from central.store.parts import chunks_of, some_garbage
from central.store.units import add_unit
from tests.gateway.rig import CLOCK

T = TypeVar("T")
parts_append = parts.append_chunk
UNITS = ("unit-a", "unit-b")
PARTS = [bytes([seed]) * size for seed, size in ((1, 10), (2, 2500), (3, 7000))]
LIMITS = GatewayLimits(free_bytes_floor=0, flush_bytes_min=1000, flush_bytes_max=2000, flush_s_max=0.01)


@dataclass
class Model:
    """What a part is."""

    data: bytes = b""
    complete: bool = False
    known_to: set[str] = field(default_factory=set)


def body(pieces: list[bytes], *, broken: bool) -> Receive:
    """ASGI's receive for these pieces, with the end or a cut after them."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append(
        {"type": "http.disconnect"} if broken else {"type": "http.request", "body": b"", "more_body": False}
    )

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return receive


class UploadMachine(RuleBasedStateMachine):
    """Two units, three parts."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="uploads-"))
        self.loop = asyncio.new_event_loop()
        self.database = Database(sqlite_url(self.folder / "gateway.db"))
        migrate(self.database, self.folder / "gateway.db")
        with self.database.write() as connection:
            for name in UNITS:
                add_unit(connection, name, name, b"key", "2026-01-01T00:00:00.000Z")
        self.objects = Objects((self.folder / "parts").as_uri())
        self.completed: list[str] = []
        self.model = {hashlib.sha256(data).hexdigest(): Model() for data in PARTS}
        self.whole = {hashlib.sha256(data).hexdigest(): data for data in PARTS}
        self.restart()
        for index in range(len(PARTS)):
            self.create(UNITS[0], index)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.database.close()
            self.loop.close()
            shutil.rmtree(self.folder)

    @rule()
    def restart(self) -> None:
        """As after a crash: what is in memory is gone."""
        self.uploads = Uploads(self.database, self.objects, LIMITS, CLOCK, self.completed.append)

    @rule(unit=st.sampled_from(UNITS), index=st.integers(0, 2))
    def create(self, unit: str, index: int) -> None:
        name = self._name(index)
        position = self._run(self.uploads.create(self._wanted(unit, name, 0, length=len(self.whole[name]))))
        self.model[name].known_to.add(unit)
        assert (position.offset_bytes, position.complete) == (len(self._held(name)), self.model[name].complete)

    @rule(
        unit=st.sampled_from([UNITS[0], *UNITS]),
        index=st.integers(0, 2),
        shift=st.sampled_from([0, 0, 0, 0, -1, 1, 500]),
        count=st.sampled_from([0, 1, 9, 10, 1000, 3000, 9000]),
        piece_bytes=st.sampled_from([1, 700, 3000]),
        how=st.sampled_from(["honest", "honest", "last", "broken", "damaged", "found damaged"]),
    )
    def append(self, unit: str, index: int, shift: int, count: int, piece_bytes: int, how: str) -> None:
        name = self._name(index)
        part = self.model[name]
        offset = max(0, len(self._held(name)) + shift)
        meant = self.whole[name][offset : offset + count]
        sent = bytes(byte ^ 255 for byte in meant) if "damaged" in how else meant
        pieces = [sent[i : i + piece_bytes] for i in range(0, len(sent), piece_bytes)]
        digest = hashlib.sha256(meant).hexdigest() if how in ("found damaged", "last") else ""
        wanted = self._wanted(unit, name, offset, completes=how == "last", digest=digest)
        status, position = self._answer(self.uploads.append(wanted, body(pieces, broken=how == "broken"), lambda: b""))
        if unit not in part.known_to:
            assert status == 404
        elif part.complete:
            assert status == 400
        elif offset != len(part.data):
            assert status == 409
        elif how == "found damaged" and sent:
            assert status == 460
        else:
            self._appended(name, sent, status, position, refused_short=how == "last")

    def _appended(
        self, name: str, sent: bytes, status: int, position: Position | None, *, refused_short: bool = False
    ) -> None:
        """What an append at the right offset does."""
        part = self.model[name]
        part.data += sent
        if len(part.data) == len(self.whole[name]):
            if part.data == self.whole[name]:
                part.complete = True
                assert (status, position and position.complete) == (204, True)
                assert self.completed[-1] == name
            else:
                assert status == 460
                part.data = b""
        elif refused_short:
            assert status == 400
        else:
            assert (status, position and position.offset_bytes) == (204, len(part.data))

    @rule(unit=st.sampled_from(UNITS), index=st.integers(1, 2), first=st.integers(1, 2000), second=st.integers(0, 2000))
    def overtake(self, unit: str, index: int, first: int, second: int) -> None:
        """A newer append begins where it believes that the older, silent one has come to."""
        name = self._name(index)
        part = self.model[name]
        left = self.whole[name][len(part.data) :]
        if unit not in part.known_to or part.complete or len(left) < first + 1:
            return
        older, newer = left[:first], left[first : first + second]

        async def both() -> tuple[Any, Any]:
            silence = asyncio.Event()
            sent = [{"type": "http.request", "body": older, "more_body": True}]

            async def receive() -> dict[str, Any]:
                if sent:
                    return sent.pop()
                await silence.wait()
                raise AssertionError

            start = len(part.data)
            running = asyncio.create_task(self.uploads.append(self._wanted(unit, name, start), receive, lambda: b""))
            while sent:
                await asyncio.sleep(0)
            taken = await _answered(
                self.uploads.append(self._wanted(unit, name, start + first), body([newer], broken=False), lambda: b"")
            )
            return await _answered(running), taken

        (older_status, _), (newer_status, position) = self._run(both())
        assert older_status == 409
        part.data += older
        self._appended(name, newer, newer_status, position)

    @rule(unit=st.sampled_from(UNITS), index=st.integers(0, 2))
    def cancel(self, unit: str, index: int) -> None:
        name = self._name(index)
        part = self.model[name]
        status, _ = self._answer(self.uploads.cancel(unit, name))
        if unit not in part.known_to:
            assert status == 404
            return
        part.known_to.discard(unit)
        if not part.complete and not part.known_to:
            part.data = b""

    @invariant()
    def offsets_agree_and_bytes_are_there(self) -> None:
        if not hasattr(self, "uploads"):
            return
        for name, part in self.model.items():
            for unit in UNITS:
                status, position = self._answer(self.uploads.position(unit, name))
                assert status == (204 if unit in part.known_to else 404)
                if position is not None:
                    assert (position.offset_bytes, position.complete) == (len(self._held(name)), part.complete)
            with self.database.read() as connection:
                pieces = chunks_of(connection, name)
                garbage = set(some_garbage(connection, 1000))
            stored = b"".join(data for piece in pieces for data in self.objects.read(piece.object_key))
            assert stored == self._held(name)
            assert not garbage & {piece.object_key for piece in pieces}

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _held(self, name: str) -> bytes:
        return self.whole[name] if self.model[name].complete else self.model[name].data

    def _name(self, index: int) -> str:
        return list(self.model)[index]

    def _wanted(
        self, unit: str, name: str, offset: int, *, completes: bool = False, length: int | None = None, digest: str = ""
    ) -> Wanted:
        return Wanted(unit, name, offset, completes, None, length, digest)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def _answer(self, work: Coroutine[Any, Any, Any]) -> tuple[int, Position | None]:
        return self._run(_answered(work))


async def _answered(work: Any) -> tuple[int, Position | None]:
    """The status that a client would see."""
    try:
        position = await work
    except Refusal as refusal:
        return refusal.status, None
    return 204, position


_SETTINGS = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_uploads_agree_with_the_model() -> None:
    run_state_machine_as_test(UploadMachine, settings=_SETTINGS)


def _no_rewind(connection: Connection, sha256: str, offset_bytes: int) -> None:
    """Keeps what was found damaged."""


def _no_reset(connection: Connection, sha256: str, *, bad: bool = False) -> None:
    """Keeps a part that does not have its name."""


def _forgets(connection: Connection, sha256: str, piece: parts.Chunk, at: str) -> bool:
    """Counts one byte less than was written."""
    return parts_append(connection, sha256, parts.Chunk(piece.offset_bytes, piece.size_bytes - 1, piece.object_key), at)


def _for_anybody(connection: Connection, unit_id: str, sha256: str) -> bool:
    """Shows parts to units that never named them."""
    return True


@pytest.mark.parametrize(
    ("function", "bug"),
    [
        ("rewind_part", _no_rewind),
        ("reset_part", _no_reset),
        ("append_chunk", _forgets),
        ("may_append", _for_anybody),
    ],
)
def test_model_finds_a_planted_bug(monkeypatch: pytest.MonkeyPatch, function: str, bug: Callable[..., object]) -> None:
    monkeypatch.setattr(parts, function, bug)
    quick = settings(_SETTINGS, max_examples=200, phases=[Phase.generate], database=None, derandomize=True)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(UploadMachine, settings=quick)
