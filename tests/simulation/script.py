"""What happens to the world in one run, drawn from a seed and kept as data, so that a failing run can be shortened."""

from __future__ import annotations

import random
from dataclasses import dataclass

SCRIPT_S = 5400.0
"""Virtual seconds of trouble; then everything heals."""

MEETINGS = (0.0, 300.0, 2000.0)

DESTINATIONS = ("north", "south")

MOODS = (
    "busy",
    "error",
    "refuse",
    "lost-reply",
    "silent",
    "twice",
    "lies",
    "other-bytes",
    "no-proof",
    "false-proof",
    "portal",
    "full",
    "gone",
)
"""What may be wrong with a centre; each acts on a message with the probability that the happening carries."""

POISONS = ("busy", "break-link", "end-attempt", "error", "lost")
"""What one instance may always cause until the centre is mended."""

CUTS = ("now", "before-commit", "after-commit")


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happens at ``at_s``; ``kind`` says what, the rest is read accordingly."""

    at_s: float
    kind: str
    destination: str = ""
    name: str = ""
    number: float = 0.0
    until_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Script:
    """One run: the seed also drives the chances of single messages."""

    seed: int
    destinations: tuple[str, ...]
    happenings: tuple[Happening, ...]


def draw(seed: int) -> Script:
    """The script of ``seed``; each seed has only some kinds of trouble, so that rare pairs meet often."""
    rng = random.Random(seed)
    destinations = DESTINATIONS if rng.random() < 0.3 else DESTINATIONS[:1]
    happenings = [*_arrivals(rng)]
    makers = (_links, _moods, _cuts, _io_errors, _commands, _centres, _disk, _clock, _evictions, _poisons)
    for maker in makers:
        if rng.random() < 0.5:
            happenings.extend(maker(rng, destinations))
    return Script(seed, destinations, tuple(sorted(happenings, key=lambda happening: happening.at_s)))


def _at(rng: random.Random) -> float:
    """Any moment, but every other time one of a few at which things meet: trouble is rarely alone."""
    if rng.random() < 0.5:
        return round(rng.choice(MEETINGS) + rng.choice((0.0, rng.uniform(0.0, 0.5), rng.uniform(0.0, 30.0))), 3)
    return round(rng.uniform(0.0, SCRIPT_S), 3)


def _span(rng: random.Random, longest_s: float) -> tuple[float, float]:
    start_s = _at(rng)
    return start_s, min(SCRIPT_S, round(start_s + rng.uniform(1.0, longest_s), 3))


def _arrivals(rng: random.Random) -> list[Happening]:
    return [
        Happening(
            at_s=round(rng.choice((0.0, _at(rng), _at(rng))), 3),
            kind="arrive",
            name="stat" if rng.random() < 0.3 else "routine",
            number=rng.choice((1, 1, 2, 3, 5, 12, 20)),
        )
        for _ in range(rng.randint(1, 5))
    ]


def _links(rng: random.Random, destinations: tuple[str, ...]) -> list[Happening]:
    made = []
    for _ in range(rng.randint(1, 4)):
        start_s, end_s = _span(rng, 1500.0)
        kind = rng.choice(("down", "down", "slow", "clog"))
        made.append(Happening(start_s, kind, rng.choice(destinations), until_s=end_s))
    if rng.random() < 0.4:
        start_s, end_s = _span(rng, 2400.0)
        destination, up_s = rng.choice(destinations), rng.choice((3.0, 20.0, 60.0))
        made.append(Happening(start_s, "flap", destination, number=up_s, until_s=end_s))
    return made


def _moods(rng: random.Random, destinations: tuple[str, ...]) -> list[Happening]:
    made = []
    for _ in range(rng.randint(1, 5)):
        start_s, end_s = _span(rng, 2400.0)
        share = rng.choice((0.05, 0.3, 1.0))
        made.append(Happening(start_s, "mood", rng.choice(destinations), rng.choice(MOODS), share, end_s))
    return made


def _cuts(rng: random.Random, destinations: tuple[str, ...]) -> list[Happening]:
    made = [Happening(_at(rng), "cut", name=rng.choice(CUTS)) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.5:  # and again while it recovers
        made += [Happening(round(cut.at_s + 0.001, 3), "cut", name=rng.choice(CUTS[1:])) for cut in made[:2]]
    return made


def _io_errors(rng: random.Random, destinations: tuple[str, ...]) -> list[Happening]:
    made = []
    for _ in range(rng.randint(1, 3)):
        start_s, end_s = _span(rng, 200.0)
        made.append(Happening(start_s, "io-error", number=rng.choice((0.3, 1.0)), until_s=end_s))
        if rng.random() < 0.4:  # I/O errors inside recovery
            made.append(Happening(round(start_s + 0.5, 3), "cut", name="now"))
    return made


def _commands(rng: random.Random, destinations: tuple[str, ...]) -> list[Happening]:
    kinds = ("hold", "release", "retry", "stat", "routine", "reject", "hold", "release")
    return [
        Happening(_at(rng), "command", name=rng.choice(kinds), number=rng.random()) for _ in range(rng.randint(1, 6))
    ]


def _centres(rng: random.Random, destinations: tuple[str, ...]) -> list[Happening]:
    made = []
    for _ in range(rng.randint(1, 3)):
        kind = rng.choice(("centre-crash", "centre-restore", "centre-restore"))
        made.append(Happening(_at(rng), kind, rng.choice(destinations), number=rng.uniform(0.0, 1.0)))
    return made


def _disk(rng: random.Random, destinations: tuple[str, ...]) -> list[Happening]:
    return [
        Happening(_at(rng), rng.choice(("flip", "read-error")), number=rng.random()) for _ in range(rng.randint(1, 2))
    ]


def _clock(rng: random.Random, destinations: tuple[str, ...]) -> list[Happening]:
    jumps = (-3e8, 3e8, -40.0, 4000.0, 1e6)
    return [Happening(_at(rng), "clock", number=rng.choice(jumps)) for _ in range(rng.randint(1, 2))]


def _evictions(rng: random.Random, destinations: tuple[str, ...]) -> list[Happening]:
    return [Happening(_at(rng), "evict") for _ in range(rng.randint(2, 12))]


def _poisons(rng: random.Random, destinations: tuple[str, ...]) -> list[Happening]:
    return [
        Happening(_at(rng), "poison", rng.choice(destinations), rng.choice(POISONS), rng.random())
        for _ in range(rng.randint(1, 2))
    ]
