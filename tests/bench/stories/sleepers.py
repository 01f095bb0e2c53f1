"""a. More processes than cores: 500 × `sleep 1` at 256 slots, where the ideal is 2.0 s."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.stories import peers
from tests.bench.stories.house import House, house
from tests.bench.stories.rounds import interleave
from tests.bench.stories.tables import Bar, Table, bars

HERE = peers.PROGRAMS / "sleepers"
SLOTS, TASKS = 256, 500
BAR_S = 2.3
JOB = f"""command = ["sleep", "1"]
[items]
total = {TASKS}
[resources]
memory = "2 MiB"    # claimed, so that not one of them runs first to show what it needs
"""


def story(compact: bool) -> list[Table]:
    """The tables of this part."""
    seen: list[int] = []
    fresh, again = "gristmill, a fresh daemon", "gristmill, a daemon that has had workers"

    def ours(mill: House) -> float:
        took = mill.run(JOB)
        seen.append(mill.most_busy)
        return took

    def from_nothing() -> float:
        with house("sleepers", ["--limit", str(SLOTS)]) as mill:
            return ours(mill)

    pool = peers.go("batches/pool.go")
    with house("sleepers", ["--limit", str(SLOTS)]) as mill:
        mill.run(JOB)
        contestants: dict[str, Callable[[], float]] = {
            fresh: from_nothing, again: lambda: ours(mill),
            "asyncio": lambda: clocked([sys.executable, str(HERE / "slots.py"), str(SLOTS), str(TASKS)]),
            "`xargs -P`": lambda: clocked(["xargs", "-P", str(SLOTS), "-n", "1", "sleep"], "1\n" * TASKS),
        }
        if pool is not None:
            contestants["Go"] = lambda: clocked([str(pool), str(SLOTS), str(TASKS), "1", "sleep", "1"])
        laps = interleave("a, sleepers", contestants, 1 if compact else 3)
    return [
        Table(f"{TASKS} × `sleep 1` at {SLOTS} slots (ideal: 2.0 s)", ("", "seconds", "used by others"),
              [(name, f"{laps.median(name):.2f}", laps.foreign(name)) for name in contestants],
              f"As many as {max(seen)} were seen running at once." + ("" if pool else " Go is missing here.")),
        bars([Bar(f"{TASKS} × `sleep 1` at {SLOTS} slots, {name.partition(', ')[2]}", f"{laps.median(name):.2f} s",
                  f"≤ {BAR_S} s", laps.median(name) <= BAR_S) for name in (fresh, again)]),
    ]


def clocked(argv: list[str], text: str = "") -> float:
    """Seconds that a command takes."""
    began = time.monotonic()
    subprocess.run(argv, input=text, text=True, stdout=subprocess.DEVNULL, check=True, cwd=Path("/"))
    return time.monotonic() - began
