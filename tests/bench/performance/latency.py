"""How long from asking to starting, on a daemon that has nothing else to do; and from the end of a task to the next."""

from __future__ import annotations

import os
import select
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.performance import peers
from tests.bench.performance.ground import Ground, ground
from tests.bench.stories.tables import Bar, Table, bars

PAUSE_S = 0.25
"""Seconds between two tries: all that the one before has left to be done is done by then."""
WORK_MS = 60
"""A task that takes longer than 50 ms is not sent ahead."""


class Stamps:
    """The pipe to which tasks write when they begin."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "stamps"
        os.mkfifo(self.path)
        self._file = os.fdopen(os.open(self.path, os.O_RDWR), "rb", buffering=0)

    def next(self) -> float:
        """The next time told, by the monotonic clock."""
        if not select.select([self._file], [], [], 60)[0]:
            raise SystemExit("nothing was started within a minute")
        line = b""
        while not line.endswith(b"\n"):
            line += self._file.read(1)
        return int(line) / 1e9

    def close(self) -> None:
        self._file.close()


def part(compact: bool) -> list[Table]:
    """All tables."""
    tries = 40 if compact else 200
    with ground("--limit", "2") as mill:
        stamps = Stamps(mill.base)
        program = [str(peers.c("stamp.c")), str(stamps.path)]
        ways: dict[str, Callable[[int], None]] = {
            "a file moved into the folder": lambda number: _drop(mill, number, program),
            "`grist add` from the shell": lambda _: _run(_add(mill, program), mill),
        }
        for name, argv in (("tsp", ["tsp", "-n"]), ("nq", ["nq"])):
            if shutil.which(name):
                ways[f"`{name}` from the shell"] = lambda _, argv=argv: _run([*argv, *program], mill)  # type: ignore[misc]
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(-2, tries):  # the first ones make the daemon and its worker warm
            for name, way in ways.items():
                time.sleep(PAUSE_S)
                began = time.monotonic()
                way(number + 2)
                if number >= 0:
                    found[name].append(1000 * (stamps.next() - began))
                else:
                    stamps.next()
        if shutil.which("tsp"):
            subprocess.run(["tsp", "-K"], env=_environment(mill), check=False)
        gaps = _gaps(mill, program, stamps, tries)
        stamps.close()
    drop, add = found["a file moved into the folder"], found["`grist add` from the shell"]
    rows = [(name, *_figures(values)) for name, values in (*found.items(), ("end of a task to the next's start", gaps))]
    return [
        Table(f"Milliseconds from asking to the task's first instruction, {tries} tries each",
              ("", "median", "p90", "p99", "worst"), rows),
        bars([
            Bar("drop to start, median ms", f"{statistics.median(drop):.1f}", "≤ 10", statistics.median(drop) <= 10),
            Bar("drop to start, p99 ms", f"{_late(drop):.1f}", "≤ 30", _late(drop) <= 30),
            Bar("`grist add` to start, median ms", f"{statistics.median(add):.0f}", "≤ 60",
                statistics.median(add) <= 60),
            Bar("end of a task to the start of the next, median ms", f"{statistics.median(gaps):.2f}", "≤ 2",
                statistics.median(gaps) <= 2),
        ]),
    ]


def _drop(mill: Ground, number: int, program: Sequence[str]) -> None:
    words = ", ".join(f'"{word}"' for word in program)
    hidden = mill.jobs / ".drop.tmp"
    hidden.write_text(f"command = [{words}]\n")
    hidden.rename(mill.jobs / f"drop-{number}.toml")


def _add(mill: Ground, program: Sequence[str]) -> list[str]:
    grist = Path(sys.executable).with_name("grist")
    return [str(grist), "add", "--jobs", str(mill.jobs), "--state", str(mill.state), "--", *program]


def _environment(mill: Ground) -> dict[str, str]:
    return {**mill.env, "TS_SOCKET": str(mill.base / "tsp"), "NQDIR": str(mill.base), "TMPDIR": str(mill.base)}


def _run(argv: Sequence[str], mill: Ground) -> None:
    subprocess.run(argv, env=_environment(mill), cwd=mill.base, stdout=subprocess.DEVNULL, check=True)


def _gaps(mill: Ground, program: Sequence[str], stamps: Stamps, tasks: int) -> list[float]:
    """Milliseconds between the end of each task and the start of the next, of one worker."""
    mill.ask("limit", workers=1)
    words = ", ".join(f'"{word}"' for word in (*program, str(WORK_MS)))
    number = mill.hand_in(f"command = [{words}]\n[items]\ntotal = {tasks}\nper_task = 1\n", "gaps")
    told = [stamps.next() for _ in range(2 * tasks)]
    mill.end_of(number)
    return [1000 * (start - end) for end, start in zip(told[1:-1:2], told[2::2], strict=True)]


def _figures(values: Sequence[float]) -> tuple[float, float, float, float]:
    ordered = sorted(values)
    return statistics.median(ordered), ordered[int(0.9 * (len(ordered) - 1))], _late(ordered), ordered[-1]


def _late(values: Sequence[float]) -> float:
    return sorted(values)[int(0.99 * (len(values) - 1))]
