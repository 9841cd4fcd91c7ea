"""What happens to the world in one run, drawn from a seed and kept as data, so that a failing run can be shortened."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from appliance.domain.values import LinkKind

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

LATE = "late"
"""A gateway gets once more what was sent to it long ago."""

POISONS = ("busy", "break-link", "end-attempt", "error", "lost")
"""What one instance may always cause until the centre is mended."""

NO_PREVIEW = "no-preview"
"""At a gateway: whatever makes the preview of this image dies of it, for ever."""

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
class Rule:
    """What one kind of link may be used for; hours are seconds of the day between which full items may go."""

    kind: LinkKind
    budget_bytes: int = 0
    budget_stops_stat: bool = False
    hours: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """One run: the seed also drives the chances of single messages."""

    seed: int
    destinations: tuple[str, ...]
    happenings: tuple[Happening, ...]
    gateways: tuple[str, ...] = ()
    """Those of the destinations that are gateways."""
    rules: tuple[Rule, ...] = ()


def draw(seed: int) -> Script:
    """The script of ``seed``: old destinations in some, gateways in others, both in the rest."""
    script = _with_corrections(draw_plain(seed))
    rng = random.Random(f"gateways {seed}")  # dice of its own: the scripts from before there were gateways stay
    gateways = tuple(name for name in script.destinations if rng.random() < 0.6)
    if not gateways:
        return script
    happenings, rules = list(script.happenings), script.rules
    if rng.random() < 0.5:
        happenings.extend(_gateway_troubles(rng, gateways))
    if rng.random() < 0.25:
        happenings.extend(_stat_streams(rng))
    if gateways == script.destinations and rng.random() < 0.4:
        rules = _rules(rng)
        happenings.extend(_kinds(rng))
    ordered = tuple(sorted(happenings, key=lambda happening: happening.at_s))
    return replace(script, happenings=ordered, gateways=gateways, rules=rules)


def _with_corrections(script: Script) -> Script:
    """People correct studies in one run of three, again and again, some of it while trouble meets."""
    rng = random.Random(f"corrections {script.seed}")
    if rng.random() >= 0.35:
        return script
    made = [
        Happening(
            _at(rng), rng.choice(("correct", "correct", "undo")), name=rng.choice(("one", "all")), number=rng.random()
        )
        for _ in range(rng.randint(1, 8))
    ]
    if rng.random() < 0.5:  # while items are on their way from one state to the next
        start_s = rng.choice((0.0, 0.05, 300.0, 2000.0))
        made += [
            Happening(round(start_s + 0.013 * step, 3), "correct", name="one", number=rng.random())
            for step in range(rng.randint(5, 40))
        ]
    if rng.random() < 0.5:
        start_s, end_s = _span(rng, 3000.0)
        made.append(Happening(start_s, "mood", rng.choice(script.destinations), LATE, 0.5, end_s))
    return replace(script, happenings=tuple(sorted((*script.happenings, *made), key=lambda each: each.at_s)))


def draw_plain(seed: int) -> Script:
    """What happens to destinations of any kind; each seed has only some trouble, so that rare pairs meet often."""
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


def _gateway_troubles(rng: random.Random, gateways: tuple[str, ...]) -> list[Happening]:
    """What only a gateway can do wrong, or what hurts it most."""
    made = []
    for _ in range(rng.randint(1, 4)):
        name = rng.choice(gateways)
        match rng.choice(("restore", "restore", "crash", "poison", "preview", "replay", "flap", "quiet")):
            case "restore":
                restored_s = round(rng.uniform(200.0, SCRIPT_S), 3)
                made.append(Happening(restored_s, "centre-restore", name, number=rng.uniform(0.0, 1.0)))
            case "crash":
                made.append(Happening(_at(rng), "centre-crash", name))
            case "poison":
                made.append(Happening(_at(rng), "poison", name, rng.choice(POISONS), rng.random()))
            case "preview":
                made.append(Happening(rng.choice((0.001, 300.0)), "poison", name, NO_PREVIEW, rng.random()))
            case "replay":
                restored_s = round(rng.uniform(200.0, SCRIPT_S - 1000.0), 3)
                made.append(Happening(restored_s, "centre-restore", name, number=1.0))
                made.append(Happening(restored_s, "mood", name, "false-proof", 0.7, restored_s + 800.0))
            case "quiet":  # nothing will be sent any more that would tell of the restore
                made.append(Happening(SCRIPT_S - 300.0, "arrive", name="routine", number=2))
                made.append(Happening(SCRIPT_S - 100.0, "centre-restore", name, number=1.0))
            case _:
                start_s, end_s = _span(rng, 1200.0)
                made.append(Happening(start_s, "flap", name, number=rng.choice((3.0, 20.0)), until_s=end_s))
    return made


def _stat_streams(rng: random.Random) -> list[Happening]:
    """STAT studies without an end, as fast as a slow link takes them, and a few routine ones among them."""
    start_s = round(rng.uniform(0.0, 1500.0), 3)
    stream = Happening(start_s, "stat-stream", number=rng.choice((6.0, 15.0)), until_s=round(start_s + 1600.0, 3))
    return [stream, Happening(round(start_s + 5.0, 3), "arrive", name="routine", number=3)]


def _rules(rng: random.Random) -> tuple[Rule, ...]:
    budget_bytes = rng.choice((0, 2_000_000, 20_000_000))
    start_s = rng.uniform(0.0, 86_400.0)
    hours = (start_s, (start_s + rng.uniform(600.0, 40_000.0)) % 86_400.0)
    return (
        Rule(LinkKind.SIM, budget_bytes, rng.random() < 0.2, None if rng.random() < 0.4 else hours),
        Rule(LinkKind.SATELLITE, 1_000_000, False, hours),
    )


def _kinds(rng: random.Random) -> list[Happening]:
    kinds = (LinkKind.SIM, LinkKind.SIM, LinkKind.SATELLITE, LinkKind.WIFI, LinkKind.UNKNOWN)
    made = [Happening(0.0, "kind", name=LinkKind.SIM)]
    made += [Happening(_at(rng), "kind", name=rng.choice(kinds)) for _ in range(rng.randint(0, 4))]
    return made
