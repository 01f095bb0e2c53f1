"""Others on the machine: a neighbour who takes a core or 8 GB for a while, and a second daemon of another user."""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.governor import machine, memory
from tests.bench.governor.cpu import BURNER
from tests.bench.governor.rows import Row
from tests.bench.governor.tape import Load, Tape
from tests.bench.governor.trial import Bench, Look, Trial, process, rest_until, trial
from tests.stranger import ByAnother, second_user

SOON_S, BACK_S = 5.0, 15.0


def neighbour(bench: Bench) -> list[Row]:
    """How soon our share yields when somebody takes a core, then 8 GB, and how soon it is back after."""
    stay, settle, after = bench.size(60, 12), bench.size(30, 9), bench.size(40, 16)
    core = Load("neighbour", steps=100_000, cpu=0.1)
    room = Load("neighbour", steps=100_000, cpu=0.0, wait=1.0, first=8000, last=8000)
    rows = []
    for name, load, guest in (("a core", BURNER, core), ("8 GB", memory.hog(bench), room)):
        with trial(bench) as mill:
            mill.put(load)
            mill.watch()
            came = rest_until(mill.began + settle + (2 * load.alone_s if load.last else 0.0))
            guests = mill.base / "guests"
            guests.touch()
            with process(guest.argv(sys.executable, guests, bench.speed)) as child:
                left = rest_until(came + stay)
                share = machine.tree(child.pid).cpu / stay
            end = rest_until(left + after)
            mill.save(f"neighbour-{name.replace(' ', '-')}")
            rows += _yielded(mill, name, came, left, end)
            rows.append(Row("neighbour", f"{name}: {mill.harm()}", f"the neighbour got {share:.2f} cores",
                            "no kill", not mill.killed()))
    return rows


def full(bench: Bench) -> list[Row]:
    """Burners of a kind never seen begin while others want twice the cores: what one would use can't be seen."""
    window, ramp, cores = bench.size(60, 22), bench.size(15, 10), machine.cores()
    guest = Load("neighbour", steps=1_000_000, cpu=0.1)
    with trial(bench) as mill, contextlib.ExitStack() as stack:
        guests = mill.base / "guests"
        guests.touch()
        argv = guest.argv(sys.executable, guests, bench.speed)
        theirs = [stack.enter_context(process(argv)).pid for _ in range(2 * cores)]
        mill.put(BURNER)
        mill.watch()
        rest_until(mill.began + ramp)
        before, since = _cpu(theirs), time.monotonic()
        end = rest_until(mill.began + window)
        share = (_cpu(theirs) - before) / (end - since)
        stack.close()
        rest_until(end + bench.size(40, 10))
        mill.save("full")
        most = max(look.limit for look in mill.between(mill.began, end))
        return [
            Row("full", f"beside {2 * cores} un-niced burners: highest limit (then {mill.limits(since, end)}; after "
                f"they left {mill.limits(end, time.monotonic())})", str(most), f"≤ {cores + 1}", most <= cores + 1),
            Row("full", f"their share of {cores} cores meanwhile, ours {mill.cpu(since, end):.2f}",
                f"{share:.2f}", f"≥ {0.85 * cores:.2f}", share >= 0.85 * cores),
        ]


def _yielded(mill: Trial, name: str, came: float, left: float, end: float) -> list[Row]:
    """Rows for the time to yield and the time to return, by what we use and, beside it, by the limit.

    Of a core our share is CPU. Of memory it is the memory that we hold; that is yielded as tasks stand still and none
    is begun, so by what goes on. How many creeping tasks fit depends on how old they are: a limit says little of it.
    """
    before, cores = mill.between(came - 5, came), machine.cores()
    limit, cpu = statistics.median(look.limit for look in before), mill.cpu(came - 5, came)
    going, held = statistics.median(look.busy for look in before), statistics.median(look.memory for look in before)
    rate = _courses(mill.looks)

    def first(true: Callable[[Look], bool], since: float, until: float, dead: float = 0.0) -> float | None:
        return next((look.at - since for look in mill.between(since + dead, until) if true(look)), None)

    limit_fell = first(lambda look: look.limit < min(limit, going), came, left)
    if name == "a core":
        yielded = first(lambda look: rate[look.at] <= max(1.1, cpu - 0.8), came, left, 1.0)
    else:
        yielded = first(lambda look: look.busy <= 0.8 * going, came, left)
    limit_rose = first(lambda look: look.limit >= max(1, 0.9 * min(limit, going)), left, end)
    if name == "a core":
        back = first(lambda look: rate[look.at] >= 0.9 * cpu, left, end, 1.0)
    else:
        back = first(lambda look: look.memory >= 0.9 * held, left, end)
    during, limits = mill.cpu(came + SOON_S, left), mill.limits(came + SOON_S, left)
    return [
        Row("neighbour", f"{name}: our share yields after (the limit falls after {_s(limit_fell)})", _s(yielded),
            f"≤ {SOON_S:.0f} s", yielded is not None and yielded <= SOON_S),
        Row("neighbour", f"{name}: our share is back after (the limit after {_s(limit_rose)})", _s(back),
            f"≤ {BACK_S:.0f} s", back is not None and back <= BACK_S),
        Row("neighbour", f"{name}: {going:g} workers before, limit {limits} meanwhile, {mill.limits(left, end)} after",
            f"our CPU {cpu:.2f}, {during:.2f}, {mill.cpu(max(left, end - 5), end):.2f} of {cores}"),
    ]


def _cpu(roots: list[int]) -> float:
    """CPU seconds of all of them and of what they started."""
    return sum(machine.tree(root).cpu for root in roots)


def _courses(looks: list[Look]) -> dict[float, float]:
    """By the time of a look: cores used over the second before it."""
    found = {}
    for at, look in enumerate(looks):
        then = looks[max(0, at - 4)]
        found[look.at] = (look.cpu - then.cpu) / (look.at - then.at) if look.at > then.at else 0.0
    return found


def _s(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"


# ── two daemons ───────────────────────────────────────────────────────────────────────────────────────────────────


def two(bench: Bench) -> list[Row]:
    """A second daemon starts beside ours: how even the CPU is, and whether two who know nothing of each other race
    for memory."""
    return [*_fair(bench), *_race(bench)]


def _fair(bench: Bench) -> list[Row]:
    head, window = bench.size(30, 9), bench.size(60, 22)
    with trial(bench) as one, _other(bench) as (second, whose):
        one.put(BURNER)
        one.watch()
        rest_until(one.began + head)
        second.put(BURNER)
        second.watch()
        end = rest_until(second.began + window)
        mills, since = (one, second), second.began
        shares = [mill.cpu(since, end) for mill in mills]
        late = [mill.cpu(since + window / 2, end) for mill in mills]
        work = [Tape(mill.tape).done([BURNER], since, end) for mill in mills]
        limits = " and ".join(mill.limits(since, end) for mill in mills)
        one.save("two-burners-first")
        second.save("two-burners-second")
    return [
        Row("two", f"{whose}: Jain index of CPU over the {window:.0f} s after the second came", f"{jain(shares):.3f}",
            "≥ 0.9", jain(shares) >= 0.9),
        Row("two", f"the same of its second half, and of work done; limits {limits}",
            f"{jain(late):.3f}, {jain(work):.3f} (cores {shares[0]:.2f}, {shares[1]:.2f})"),
    ]


def _race(bench: Bench) -> list[Row]:
    window = bench.size(90, 25)
    load = memory.hog(bench)
    with trial(bench) as one, _other(bench) as (second, whose):
        mills = (one, second)
        for mill in mills:
            mill.put(load)
            mill.watch()
        end = rest_until(one.began + window)
        work = [Tape(mill.tape).done([load], one.began, end) / window for mill in mills]
        kills = [mill.killed() for mill in mills]
        words = [mill.harm() for mill in mills]
        for mill, name in zip(mills, ("first", "second"), strict=True):
            mill.save(f"two-hogs-{name}")
    return [
        Row("two", f"{whose}, hogs in both: first {words[0]}; second {words[1]}",
            f"{work[0]:.2f} and {work[1]:.2f} s of work a second", "no kill", not any(kills)),
    ]


def jain(shares: list[float]) -> float:
    """1 when all have the same, 1/n when one has all."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares) or 1.0)


class Stranger(ByAnother, Trial):
    """A daemon of another user, under watch."""

    def __init__(self, base: Path, bench: Bench, user: str, python: str) -> None:
        super().__init__(base, bench, python)
        self.become(user, python, self.tape)


@contextlib.contextmanager
def _other(bench: Bench) -> Iterator[tuple[Trial, str]]:
    """A second daemon and whose it is: another user's where there is one, who can run us."""
    user, python = second_user()
    with TemporaryDirectory(prefix="grist-bench-") as folder:
        base = Path(folder)
        mill = Stranger(base, bench, user, python) if user else Trial(base, bench)
        with mill:
            mill.start()
            yield mill, f"two users (root, {user})" if user else "one user twice"
