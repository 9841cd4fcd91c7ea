"""Every bound of the centre's gateway, with its arithmetic; ``[gateway.limits]`` in ``central.toml`` changes them."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """The gateway's bounds. Times are differences on the monotonic clock."""

    # connections
    connection_count_max: int = 1024
    header_bytes_max: int = 32 * KIB
    header_s_max: float = 20.0
    """From the first byte of a request to the end of its header: 2 kbit/s carries 5 KB in that time."""
    keep_alive_s_max: float = 180.0
    """A connection that comes back costs three round trips on a satellite; an idle one costs a file descriptor."""
    linger_s_max: float = 2.0
    """After an early refusal: how long what is still coming is read past, so that the answer is not reset away."""
    stop_s_max: float = 8.0

    # sessions
    nonce_count_max: int = 10_000
    nonce_s_max: float = 300.0
    session_s_max: int = 7 * 24 * 3600
    session_count_per_unit_max: int = 8
    enrol_wrong_count_max: int = 20
    """Wrong proofs for one code; it is void after them."""

    # manifests
    json_bytes_max: int = 8 * MIB
    json_unpacked_bytes_max: int = 32 * MIB
    instance_count_max: int = 10_000
    """Of one manifest; the header of a study with more travels in several."""
    part_count_max: int = 30_000
    zstd_window_bytes_max: int = 8 * MIB
    check_count_max: int = 256

    # parts
    part_bytes_max: int = 4 * GIB
    append_bytes_max: int = 64 * MIB
    open_part_count_per_unit_max: int = 100_000
    """Named and not complete: a month of examinations offline, three parts each."""
    append_count_per_unit_max: int = 16
    append_idle_s_max: float = 120.0
    """No byte for so long: the flow is dead. Nothing waits for it, for a newer append takes the part over at once."""
    flush_bytes_min: int = 128 * KIB
    flush_bytes_max: int = 4 * MIB
    flush_s_max: float = 1.0
    flush_fast_s: float = 0.5
    """What arrives in this time is written at once on a fast link, so that its flushes are few."""

    # the disk
    free_bytes_floor: int = 1 * GIB
    retry_after_s: int = 60
    sweep_s: float = 60.0
    """Between two looks for what need not be kept."""

    # rebuilding and handing over
    worker_count: int = 2
    worker_memory_bytes_max: int = 2 * GIB
    worker_s_max: float = 300.0
    """2 GiB at 10 MB/s, the slowest codec on a small machine."""
    rebuild_round_count_max: int = 3
    """How often a file may end its worker (memory, time, a crash) before a person is asked."""
    resting_count_max: int = 10_000
    """Files that wait for their next try; beyond it no new ones are begun until one of them is due."""
    lane_count: int = 8
    """Instances between "all parts are here" and their proof, each with its file on the disk."""
    handover_item_count_max: int = 16
    backoff_s_first: float = 1.0
    backoff_s_max: float = 300.0

    # the inbox
    wait_s_max: float = 30.0
    inbox_entry_count_max: int = 200
    """In one answer: 200 receipts of 1 KB."""
    answer_count_max: int = 16
    """In one answer to ``about=answers``: 16 reports of 64 KiB."""
    waiting_count_per_unit_max: int = 4
