"""``qafila courier status``: which sticks carry what, and what has no receipt yet."""

from __future__ import annotations

import argparse

from appliance.cli.common import CLOCK, print_json, reader_of, zone_now
from appliance.cli.exits import FINE
from appliance.domain.sentences import age, clock_time, counted, studies
from appliance.store.courier import StickRow, count_open_brought, known_sticks


def run(arguments: argparse.Namespace) -> int:
    """Read, and never write."""
    with reader_of(arguments) as reader:
        sticks = known_sticks(reader.unit_db)
        brought_count = count_open_brought(reader.unit_db)
    if arguments.json:
        print_json({"sticks": sticks, "open_receipt_count": brought_count})
        return FINE
    for stick in sticks:
        print(_line(stick))
    if not sticks:
        print("No stick carries anything of this unit.")
    if brought_count:
        print(f"{counted(brought_count, 'receipt', 'receipts')} from a stick wait for the sync process.")
    return FINE


def _line(row: StickRow) -> str:
    now_s = CLOCK.wall_s()
    when = clock_time(row.verified_at, zone_now(), now_s)
    how_old = age(row.verified_at, now_s)
    head = f"stick {row.stick} for {row.destination}, read back {when}{f' ({how_old})' if how_old else ''}: "
    content = f"{counted(row.image_count, 'image', 'images')} of {studies(row.study_count)}"
    if not row.waiting_count:
        return f"✓✓ {head}{content}, all at the centre"
    waiting = f"{counted(row.waiting_count, 'image', 'images')} of {studies(row.waiting_study_count)}"
    return f"·  {head}{content}, no receipt yet for {waiting}"
