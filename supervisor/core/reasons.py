"""Why so many workers run, in words: a sentence and a short name for each constraint that can bind, and the few
figures that go with them; and what is wrong. Pure and quick to import: the command line and the screens say the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.supervisor.core import figures

SENTENCES = {
    "ramp": "slow start, more step by step",
    "cpu": "the cores bind",
    "others": "other people's work binds",
    "measured": "more were measured to be no faster",
    "memory": "memory binds",
    "probe": "this number is being tried",
    "canary": "of a new kind one task runs first",
    "polite": "working hours bind",
    "user": "set by the user",
    "work": "there is no more work",
}
NAMES = {"ramp": "slow start", "cpu": "CPU", "polite": "hours"}
"""How a constraint is called in a table, where that is not its own name."""


def named(kind: str, reason: str) -> str:
    """A condition: `disk: 3 MB are free …`; a reason that names its kind itself is not told twice."""
    return reason if reason.startswith(kind) else f"{kind}: {reason}"


def headline(number: int, binding: str) -> str:
    """`6 workers: memory binds`; a constraint that a newer daemon named is called by its own name."""
    said = figures.several(number, "worker")
    return f"{said}: {SENTENCES.get(binding) or f'{binding} binds'}" if binding else said


def name(binding: str) -> str:
    """What a constraint is called in a table."""
    return NAMES.get(binding, binding)


def allowed(number: int | None) -> str:
    """How many workers a constraint allows."""
    return "any" if number is None else str(number)


def rate(share: float, error: float) -> str:
    """A measured throughput, relative to the best one, and its standard error: `98 % ±3`."""
    return f"{share:.0%}".replace("%", " %") + f" ±{100 * error:.0f}"


def taken(seconds: float | None) -> str:
    """A mean time, as fine as it matters: `20ms`, `3.4s`, `48s`, `12:04`."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f}ms"
    if seconds < 59.5:
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s"
    return figures.clock_span(seconds)


def source(claimed: bool, tasks_seen: int) -> str:
    """Where what is known of a kind comes from."""
    return "claimed" if claimed else "learned" if tasks_seen else "unseen"


def near(points: Sequence[float], at: float, most: int) -> list[int]:
    """Which of many points, in their order, to tell where only `most` find room: the ends, those nearest to `at`."""
    if len(points) <= most:
        return list(range(len(points)))
    by_distance = sorted(range(len(points)), key=lambda index: (abs(points[index] - at), index))
    return sorted({0, len(points) - 1, *by_distance[: most - 2]})
