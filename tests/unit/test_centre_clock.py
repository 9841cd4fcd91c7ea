"""What an answer's date says of this unit's clock: nothing within the time that its request took."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from appliance.live import read_live
from central.gateway.protocol import BoundedProtocol
from central.limits import GatewayLimits
from sync.adapters.gateway.centre import Centre
from sync.adapters.gateway.centre_clock import ahead_s
from tests.support.clocks import ManualClock

seconds = st.floats(-1e6, 1e6)


@given(offset_s=seconds, before_s=seconds, took_s=st.floats(0, 600), share=st.floats(0, 1))
def test_estimate_is_off_by_no_more_than_the_request_took(
    offset_s: float, before_s: float, took_s: float, share: float
) -> None:
    date_s = float(int(2e9 - share * took_s))  # by the centre's clock; made at some moment of the exchange
    assert abs(ahead_s(before_s, 2e9 + offset_s, took_s, date_s) - offset_s) <= took_s + 1.001


@given(offset_s=st.floats(-50, 50), took_s=st.lists(st.tuples(st.floats(0, 600), st.floats(0, 1)), max_size=9))
def test_answers_in_agreement_with_the_estimate_leave_it(offset_s: float, took_s: list[tuple[float, float]]) -> None:
    estimate_s = offset_s
    for each_s, share in took_s:
        estimate_s = ahead_s(estimate_s, 2e9 + offset_s, each_s, float(int(2e9 - share * each_s)))
    assert estimate_s == pytest.approx(offset_s, abs=1e-5)


def test_short_exchange_after_long_ones_finds_a_clock_that_is_off() -> None:
    estimate_s = ahead_s(0.0, 2e9 + 90.0, 60.0, 2e9)
    assert 29.0 <= estimate_s <= 90.0
    assert ahead_s(estimate_s, 2e9 + 90.0, 0.2, 2e9) == pytest.approx(90.0, abs=1.3)


def centre(clock: ManualClock, folder: Path) -> Centre:
    """One that is only told of answers."""
    session: Any = SimpleNamespace(
        centre_key=None,
        identity=SimpleNamespace(unit_id="unit"),
        remembered=SimpleNamespace(epoch="first"),
    )
    way: Any = SimpleNamespace(table=SimpleNamespace(name="north"))
    nothing: Any = None
    return Centre(way, nothing, session, clock, folder)


def date_at(clock: ManualClock, ago_s: float = 0.0) -> httpx.Headers:
    """As a centre writes it whose clock was the unit's so long ago."""
    return httpx.Headers({"Date": formatdate(int(clock.wall_s() - ago_s), usegmt=True)})


def told(folder: Path, clock: ManualClock) -> float:
    facts = read_live(folder, "centre-north", clock)
    assert facts is not None
    return float(facts["clock_ahead_s"])


def test_answer_to_an_append_of_a_minute_casts_no_doubt_on_the_clock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = ManualClock()
    north = centre(clock, tmp_path)
    began_mono_s = clock.mono_s()
    date = date_at(clock)  # as some servers do: made when the request began
    clock.advance(37.0)
    north.hear(date, began_mono_s)
    assert told(tmp_path, clock) == 0.0
    assert "differs" not in capsys.readouterr().err


def test_clock_that_is_off_is_told_by_a_short_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    north = centre(clock, tmp_path)
    north.hear(date_at(clock, ago_s=90.0), clock.mono_s() - 0.2)
    assert told(tmp_path, clock) == pytest.approx(90.0, abs=1.3)
    assert "ahead_s=" in capsys.readouterr().err
    clock.advance(11.0)
    north.hear(date_at(clock), clock.mono_s() - 0.2)
    assert abs(told(tmp_path, clock)) <= 1.3


class FakeTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        """Nothing is held open."""

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Bytes come when the test brings them."""

    def resume_reading(self) -> None:
        """Likewise."""


async def answered_after_a_tick() -> bytes:
    """A request whose body ends after the server's clock moved on."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(app, http=BoundedProtocol, log_config=None)
    config.gateway_limits = GatewayLimits()  # type: ignore[attr-defined]  # as central.gateway.serve does
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"before")]
    protocol = BoundedProtocol(config=config, server_state=state, app_state={})
    transport = FakeTransport()
    protocol.connection_made(transport)
    protocol.data_received(b"PATCH /v1/parts/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
    state.default_headers = [(b"date", b"after")]
    protocol.data_received(b"cd")
    await asyncio.gather(*state.tasks)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    return transport.written


def test_centre_dates_an_answer_when_it_answers() -> None:
    written = asyncio.run(answered_after_a_tick())
    assert b"date: after\r\n" in written
    assert b"before" not in written
