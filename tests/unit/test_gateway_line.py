"""The line before the gateway: what may follow a manifest without its answer."""

from __future__ import annotations

from typing import cast

from sync.adapters.gateway.line import Consignment, Line, Owner, Rank, Told
from sync.adapters.gateway.parts import Part


class Going:
    """An owner whose call goes on."""

    def stopped(self) -> bool:
        return False


class Waiting:
    """A part that wants bytes."""

    is_carried = False
    wants_append = True
    is_done = False


def line_with_one_told() -> tuple[Line, Consignment, Part]:
    """Its manifest went out, the answer is not there yet."""
    line, part = Line(is_trusting=True), cast(Part, Waiting())
    one = Consignment(
        next(iter(Rank)), "1.2", lambda: b"", [part], cast(Owner, Going()), lambda *_: None, lambda _: None, is_new=True
    )
    line.add(one)
    assert line.take() == (one, None)
    assert one.told is Told.ASKED
    return line, one, part


def test_new_parts_follow_their_first_manifest() -> None:
    line, one, part = line_with_one_told()
    assert line.take() == (one, part)


def test_after_a_lost_connection_nothing_that_waits_is_new() -> None:
    line, one, _ = line_with_one_told()
    line.doubt_new()
    assert not line.has_next()
    assert line.take() is None
    one.told = Told.YES
    assert line.has_next()
