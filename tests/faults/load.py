"""Work whose every task leaves a trace, and the reckoning afterwards: who ran, how often, whole or cut, how it ended.

Shared by the tests that kill things; what is killed is theirs.
"""

from __future__ import annotations

import functools
import select
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gristmill.supervisor.edge.locks import holder
from tests.mill import Mill

TRACED = """cwd = "{where}"
command = ["/bin/sh", "-c", 'echo b {{index}} >> {name}.out; {body}']
[items]
total = {total}
per_task = 1
{more}"""
SCRIPT = """#!/bin/sh
#GRIST cwd = "{where}"
#GRIST items = {{ total = {total}, per_task = 1 }}
echo b $GRIST_START >> {name}.out
{body}
"""


@dataclass(frozen=True)
class Sort:
    """A sort of task: what its shell does between its two traces and after them, and how it must end."""

    name: str
    total: int
    work: str
    end: str
    exits: tuple[tuple[int | None, int | None], ...]
    """(exit code, signal) by index, over and over."""
    suffix: str = ".toml"
    """`.sh` where the job is a script, of which the daemon keeps a copy."""

    def expected(self, index: int) -> tuple[int | None, int | None]:
        return self.exits[index % len(self.exits)]

    def text(self, name: str, where: Path, more: str = "") -> str:
        """The job file; the traces are left in the folder `where`."""
        body = f"{self.work}echo e {{index}} >> {name}.out; {self.end}"
        if self.suffix == ".sh":
            body = body.replace("{index}", "$GRIST_START")
            return SCRIPT.format(name=name, where=where, body=body, total=self.total)
        return TRACED.format(name=name, where=where, body=body, total=self.total, more=more)


TINY = Sort("tiny", 60, "", "exit $(({index} % 3))", ((0, None), (1, None), (2, None)))
BRISK = Sort("brisk", 300, "", "exit $(({index} % 2))", ((0, None), (1, None)))
"""Many and short: workers have some of them ahead in their sockets."""
LONG = Sort(
    "long", 24, "sleep $(({index} % 3 / 2)).$((100 + {index} * 37 % 200)); ", "exit $((75 * ({index} % 2)))",
    ((0, None), (75, None)),
)
"""0.1 to 0.3 s, and each third one a second more: that one is still there when the next daemon comes."""
SLAIN = Sort("slain", 8, "", "kill -$((9 + {index} % 2 * 6)) $$", ((None, 9), (None, 15)))
KEPT = Sort("kept", 6, "sleep 0.2; ", "exit 7", ((7, None),), suffix=".sh")
MIXED = (TINY, LONG, SLAIN)


@dataclass
class Load:
    """The jobs dropped so far into one mill."""

    mill: Mill
    jobs: dict[str, Sort] = field(default_factory=dict)

    def drop(self, sorts: Iterable[Sort] = MIXED, more: str = "") -> None:
        """Drops one job of each sort."""
        for sort in sorts:
            name = f"{sort.name}{len(self.jobs)}"
            self.jobs[name] = sort
            self.mill.drop(f"{name}{sort.suffix}", sort.text(name, self.mill.base, more))

    def ended(self) -> dict[str, list[dict[str, Any]]]:
        """All tasks of all jobs, by job, once every job has ended."""
        for name in self.jobs:
            self.mill.ended(name)
        return {name: self.mill.tasks(name) for name in self.jobs}

    def traces(self, name: str) -> tuple[Counter[int], Counter[int]]:
        """How often each index of a job has begun and come to its end."""
        path = self.mill.base / f"{name}.out"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        assert all(len(line) == 2 for line in lines), f"{path}: torn lines"
        begun, ended = (Counter(int(index) for mark, index in lines if mark == which) for which in "be")
        return begun, ended

    def check(self, most_lost: int = 0) -> int:
        """Waits for the end, and reckons: each task listed once, run once, not cut, its exit right; returns the lost.

        At most `most_lost` tasks may be `lost`; one of them has run once or not at all, and was not cut either.
        """
        lost = 0
        for name, tasks in self.ended().items():
            sort = self.jobs[name]
            assert [task["start"] for task in tasks] == list(range(sort.total)), name
            gone = {task["start"] for task in tasks if task["state"] == "lost"}
            lost += len(gone)
            wrong = [
                task for task in tasks
                if task["start"] not in gone and (task["exit_code"], task["signal"]) != sort.expected(task["start"])
            ]
            assert not wrong, (name, wrong)
            assert not [task for task in tasks if task["attempts"] != 1], name
            self.mill.until(functools.partial(self._whole, name), f"{name}: a task was cut")
            begun, _ = self.traces(name)
            assert set(begun) | gone == set(range(sort.total)), name
            assert set(begun.values()) == {1}, (name, [index for index, times in begun.items() if times > 1])
            bad = sum(sort.expected(index) != (0, None) or index in gone for index in range(sort.total))
            job = self.mill.job(name)
            assert (job["items_done"], job["items_failed"]) == (sort.total - bad, bad), name
        assert lost <= most_lost
        return lost

    def begun(self) -> int:
        """How many tasks have begun so far, of all jobs."""
        return sum(self.traces(name)[0].total() for name in self.jobs)

    def left(self) -> int:
        """How many have not begun yet."""
        return sum(sort.total for sort in self.jobs.values()) - self.begun()

    def _whole(self, name: str) -> bool:
        begun, ended = self.traces(name)
        return begun == ended

    def check_places(self) -> None:
        """Every job's file lies where its end wants it, and nothing else lies about."""
        wanted = set()
        for name, sort in self.jobs.items():
            place = "done" if all(exit_ == (0, None) for exit_ in sort.exits) else "failed"
            wanted.add(f"{place}/{name}{sort.suffix}")
        try:
            self.mill.until(lambda: self._lying() == wanted, "")
        except AssertionError:
            assert self._lying() == wanted  # says which

    def _lying(self) -> set[str]:
        paths = (path for path in self.mill.jobs.rglob("*") if path.is_file() and path.name != "lock")
        return {str(path.relative_to(self.mill.jobs)) for path in paths}


def workers(mill: Mill) -> list[int]:
    """The pids of all living workers, those of earlier daemons too: who holds the lock of a run folder."""
    folders = list((mill.state / "runs").iterdir()) if (mill.state / "runs").is_dir() else []
    return [pid for folder in folders if (pid := holder(folder / "lock")) is not None]


def spawners(mill: Mill) -> list[int]:
    """The pid of the running daemon's spawner, if it has one yet."""
    assert mill.process is not None
    pid = mill.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def linger(seconds: float) -> None:
    """Lets a random moment come: what happens next may fall anywhere, and that is the point."""
    select.select([], [], [], seconds)
