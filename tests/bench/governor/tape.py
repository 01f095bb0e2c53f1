"""The tape onto which tasks write every step that they have finished, and what it says: rates, ends, work lost."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

WORK = Path(__file__).with_name("work.py")
CORE_LOOPS = 200_000


class Load(NamedTuple):
    """A kind of task: steps, CPU seconds and seconds of waiting a step, MB at the first step and at the last."""

    name: str
    steps: int
    cpu: float
    wait: float = 0.0
    first: int = 0
    last: int = 0

    @property
    def alone_s(self) -> float:
        """Seconds that a task takes when nothing hinders it."""
        return self.steps * (self.cpu + self.wait)

    def argv(self, python: str, tape: Path, speed: float) -> list[str]:
        """The command, on a machine that does `speed` loops a CPU second."""
        words = [self.steps, round(self.cpu * speed), self.wait, self.first, self.last]
        return [python, "-I", "-S", str(WORK), str(tape), self.name, *map(str, words)]

    def job(self, python: str, tape: Path, speed: float, tasks: int) -> str:
        """A job file of so many tasks."""
        words = ", ".join(f'"{word}"' for word in self.argv(python, tape, speed))
        return f"command = [{words}]\n[items]\ntotal = {tasks}\nper_task = 1\n"


class Step(NamedTuple):
    """One line of the tape."""

    at: float
    task: str
    load: str
    number: int
    of: int


class Tape:
    """What has been written so far."""

    def __init__(self, path: Path) -> None:
        self.steps = []
        for line in path.read_text().splitlines():
            at, task, load, number, of = line.split()
            self.steps.append(Step(float(at), task, load, int(number), int(of)))
        ended = {step.task for step in self.steps if step.number == step.of}
        tasks = {step.task for step in self.steps}
        self.lost = {task for task in tasks - ended if not alive(int(task.partition(".")[0]))}
        """Tasks that are gone without having ended: all that they did was for nothing."""

    def ended(self) -> int:
        """Tasks that came to their end."""
        return sum(step.number == step.of for step in self.steps)

    def done(self, loads: Iterable[Load], since: float, until: float) -> float:
        """Work done in that time and not lost, in seconds that it would take a task alone."""
        worth = {load.name: load.alone_s / load.steps for load in loads}
        return sum(
            worth[step.load] for step in self.steps
            if step.number and since <= step.at < until and step.task not in self.lost
        )

    def wasted(self) -> float:
        """Share of all steps that was done by tasks which are gone."""
        done = [step for step in self.steps if step.number]
        return sum(step.task in self.lost for step in done) / max(1, len(done))


def alive(pid: int) -> bool:
    """Whether this process runs, is stopped or waits."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat[stat.rindex(b")") + 2 :][:1] not in b"ZX"


def speed() -> float:
    """Loops of `work.py` a CPU second: the best of several, since others disturb."""
    found = []
    for _ in range(15):
        began = time.thread_time()
        for _ in range(CORE_LOOPS):
            pass
        found.append(CORE_LOOPS / (time.thread_time() - began))
    return max(found)
