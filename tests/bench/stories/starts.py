"""e. What a start costs: cold, forked from a warm process, and not at all; and what it costs to hand out ranges."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from tests.bench.governor import machine
from tests.bench.stories import peers
from tests.bench.stories.house import house
from tests.bench.stories.rounds import interleave
from tests.bench.stories.tables import Bar, Table, bars

HERE = peers.PROGRAMS / "starts"
ITEM_S = 0.01
CALL = 'call = "small:add"\nvenv = "{venv}"\nisolation = "{isolation}"\n[items]\ntotal = {calls}\n'
REST = 'call = "small:rest"\nvenv = "{venv}"\n[items]\ntotal = {items}\nper_task = "auto"\n'


def story(compact: bool) -> list[Table]:
    """The tables of this part."""
    cores, rounds = machine.cores(), 1 if compact else 2
    cold, forked, reused = (60, 1_000, 10_000) if compact else (200, 3_000, 20_000)
    with house("starts", ["--limit", str(cores)]) as mill:
        for isolation in ("fork", "reuse"):
            mill.run(call(isolation, 100), isolation)

        contestants: dict[str, Callable[[], float]] = {
            "cold": lambda: cold / _cold(cores, cold),
            "fork": lambda: forked / mill.run(call("fork", forked), "fork"),
            "reuse": lambda: reused / mill.run(call("reuse", reused), "reuse"),
            "loky": lambda: reused / float(peers.told("starts", "reused.py", str(cores), str(reused))),
        }
        laps = interleave("e, calls/s", contestants, rounds)
    names = {"cold": "cold: `python -c 'import numpy …'` by `xargs -P`", "fork": "called, a fork each, durable",
             "reuse": "called, processes used again, durable", "loky": "loky, processes used again"}
    fork, reuse = laps.ratio("fork", "cold"), laps.ratio("reuse", "loky")
    return [
        Table(f"The sum of ten ones in NumPy, {cores} at a time", ("", "a second", "× cold", "used by others"),
              [(words, laps.median(name), laps.ratio(name, "cold"), laps.foreign(name))
               for name, words in names.items()]),
        bars([
            Bar("a fork a call, × cold", f"{fork:.1f}", "≥ 20", fork >= 20),
            Bar("processes used again, × loky", f"{reuse:.2f}", "≥ 0.8", reuse >= 0.8),
            *_ranges(cores, 15 if compact else 40),
        ]),
    ]


def _ranges(workers: int, seconds: int) -> list[Bar]:
    """What ranges of about a second cost beyond the work in them, from the first start to the last end."""
    items = round(seconds * workers / ITEM_S)
    with house("starts", ["--limit", str(workers)]) as mill:
        text = REST.format(venv=peers.folder() / "venv", items=items)
        mill.run(text.replace(str(items), str(items // 5)), "rest")  # so that the length of an item is known
        mill.run(text, "rest")
        seen = mill.job("rest")
        over = (seen["ended_at"] - seen["started_at"]) / seconds - 1
    what = f"handing out ranges, {seconds} s of work on {workers} workers"
    return [Bar(what, f"{100 * over:.2f} %", "< 1 %", over < 0.01)]


def call(isolation: str, calls: int) -> str:
    """A job of so many calls."""
    return CALL.format(venv=peers.folder() / "venv", isolation=isolation, calls=calls)


def _cold(slots: int, calls: int) -> float:
    line = ["xargs", "-P", str(slots), "-n", "1", peers.python(), "-c", "import numpy as np; np.ones(10).sum()"]
    began = time.monotonic()
    subprocess.run(line, input="x\n" * calls, text=True, check=True, env=peers.environment(), cwd=HERE)
    return time.monotonic() - began

