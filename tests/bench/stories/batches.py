"""a. The Go producer and consumer: 10,000 items in mini-batches, by stdin, to processes in a virtual environment."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterable
from functools import partial

from tests.bench.governor import machine
from tests.bench.stories import peers
from tests.bench.stories.house import House, house
from tests.bench.stories.rounds import Laps, interleave
from tests.bench.stories.tables import Bar, Table, bars

HERE = peers.PROGRAMS / "batches"
PER_TASK = 16


def story(compact: bool) -> list[Table]:
    """The tables of this part."""
    items, rounds = (4_000, 1) if compact else (10_000, 4)
    tried = _sample(compact)
    best = tried.least(*tried.of)
    number = int(best.split()[-1])
    settled: list[int] = []

    def cold(*options: str) -> float:
        with house("batches", options) as mill:
            took = ours(mill, "cold", items)
            if not options:
                settled.append(mill.limit())
            return took

    def warm() -> float:
        with house("batches") as mill:
            return ours(mill, "warm", items)

    hand = {f"{who} {number}": partial(run, number, items) for who, run in by_hand().items()}
    by_best, before, behind = hand.pop(best), f"{best}, before", f"{best}, behind"
    # Within a minute a machine may change by a tenth: the best by hand runs before ours and behind.
    laps = interleave("a", {
        before: by_best, "governor": cold, behind: by_best, "fixed": lambda: cold("--limit", str(number)), **hand,
        "warm": warm,
    }, rounds).mean(best, before, behind)
    names = {best: f"{best}, the best by hand", **{name: f"{name}, by hand" for name in hand},
             "governor": "as a command, the governor's number", "fixed": f"as a command, {number} workers by hand",
             "warm": "called warm, the governor's number"}
    times = ", ".join(f"{name}: {tried.median(name):.1f} s" for name in tried.of)
    ratio = {name: 1 / laps.ratio(name, best) for name in names}
    return [
        Table(f"{items:,} items in mini-batches of {PER_TASK}",
              ("", "seconds", "items/s", f"× {best}", "used by others"),
              [(words, laps.median(name), items / laps.median(name), f"{ratio[name]:.2f}", laps.foreign(name))
               for name, words in names.items()],
              f"Tried by hand on a sample: {times}. The governor settled on {settled} workers."
              + ("" if hand else " Go is missing here.")),
        bars([
            Bar("as a command, at the governor's number, × the best by hand", f"{ratio['governor']:.2f}", "≥ 0.95",
                ratio["governor"] >= 0.95),
            Bar("as a command, at the best number by hand", f"{ratio['fixed']:.2f}", "≥ 0.95", ratio["fixed"] >= 0.95),
            Bar("called warm", f"{ratio['warm']:.1f}", "≥ 3", ratio["warm"] >= 3),
        ]),
    ]


def _sample(compact: bool) -> Laps:
    """Some batches by everybody else at several numbers of workers: what a person tries who looks for the best."""
    cores = machine.cores()
    numbers, some, rounds = [cores, cores + 1, 2 * cores, 4 * cores], 60, 3
    if compact:
        numbers, some, rounds = [cores, 2 * cores], 30, 1
    return interleave("a, by hand", {
        f"{who} {number}": partial(run, number, some * PER_TASK)
        for who, run in by_hand().items() for number in numbers
    }, rounds)


def by_hand() -> dict[str, Callable[[int, int], float]]:
    """Who else runs so many workers over so many items, in seconds: as far as they are installed."""
    found: dict[str, Callable[[int, int], float]] = {"xargs": xargs}
    if pool := peers.go("batches/pool.go"):
        program = str(pool)
        line = activated("python score.py")
        found["Go"] = lambda workers, items: clocked(
            [program, str(workers), str(items), str(PER_TASK), "sh", "-c", line], "", items)
    return found


def xargs(workers: int, items: int) -> float:
    """Seconds that `xargs -P` takes."""
    batches = "".join(f"{start},{min(PER_TASK, items - start)}\n" for start in range(0, items, PER_TASK))
    line = activated('echo "$0" | python score.py')
    return clocked(["xargs", "-P", str(workers), "-n", "1", "sh", "-c", line], batches, items)


def activated(command: str) -> str:
    """A shell line that activates the environment first."""
    return f". {peers.folder()}/venv/bin/activate && {command}"


def clocked(argv: list[str], text: str, items: int) -> float:
    """Seconds that a command takes that is to print the scores of all items."""
    began = time.monotonic()
    done = subprocess.run(argv, input=text, capture_output=True, text=True, cwd=HERE, check=True,
                          env=peers.environment())
    took = time.monotonic() - began
    check((score for line in done.stdout.splitlines() for score in json.loads(line)), items)
    return took


def ours(mill: House, name: str, items: int) -> float:
    """Seconds from the drop of a job file to the job's end."""
    text = (HERE / f"{name}.toml").read_text().replace("VENV", str(peers.folder() / "venv"))
    took = mill.run(text.replace("10_000", str(items)), name)
    check(mill.results(name), items)
    return took


def check(scores: Iterable[float], items: int) -> None:
    """Raises SystemExit unless so many different scores came as there are items."""
    found = list(scores)
    if len(found) != items or len(set(found)) != items:
        raise SystemExit(f"{items} scores were to come; {len(found)} came, {len(set(found))} different ones")
