"""Can every destination be reached, as far as sync knows? A link that is down is normal on the road."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.clock import local_zone
from appliance.domain.sentences import clock_time, sentence_end
from appliance.domain.snapshot import LinkRow
from appliance.domain.values import LinkState
from appliance.health.check import Level, Result, Subject


def check(subject: Subject) -> Iterable[Result]:
    """One answer for each configured destination."""
    known = {link.destination: link for link in subject.reader.snapshot().links}
    return [
        _judge(subject, destination.name, known.get(destination.name)) for destination in subject.config.destination
    ]


def _judge(subject: Subject, name: str, link: LinkRow | None) -> Result:
    check_name = f"link {name}"
    if link is None or link.state is LinkState.UNKNOWN:
        return Result(
            check_name, Level.NOTICE, f"{name} was not contacted yet.", "Start the unit; sync tries by itself."
        )
    now_s = subject.clock.wall_s()
    last = clock_time(link.last_success_at, local_zone(now_s), now_s)
    if link.state is LinkState.UP:
        return Result(check_name, Level.FINE, f"{name} is connected; last delivery {last}.")
    reason = sentence_end(link.failure_sentence) or "It is not reachable."
    hint = f"Nothing is lost; it is tried again by itself (last delivery {last})."
    return Result(check_name, Level.NOTICE, f"{name}: {reason}", hint)
