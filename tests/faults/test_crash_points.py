"""The daemon killed at each of its calls that change a file: whatever N it was, the next daemon finishes the work."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.load import workers
from tests.faults.shim import Library, Shim
from tests.mill import DEADLINE, Mill

GROUPS = ("rename", "link", "unlink", "mkdir", "fsync", "write")
FILES = {
    "two.toml": 'command = "echo two{index} >> out; exit {index}"\n[items]\ntotal = 2\nper_task = 1\n',
    "script.sh": "#!/bin/sh\n#GRIST cwd = \".\"\necho script >> out\necho '{\"x\": 1}' > $GRIST_RESULT\n",
    "bad.toml": "command = 3\n",
}
LEFT = """command = '''
echo b{index} >> out
while ! test -e go{index}; do sleep 0.02; done
echo {index} > $GRIST_RESULT
echo e{index} >> out
exit {index}'''
[items]
total = 4
per_task = 1
"""


class Script:
    """A short life of a daemon, always the same: start, do something, all is over, stop."""

    places: tuple[str, ...] = ()
    """Where files of the jobs folder must lie in the end: these are all."""

    def __init__(self, mill: Mill) -> None:
        self.mill = mill

    def prepare(self) -> None:
        """What was before, while nobody kills."""

    def act(self) -> None:
        """What a user does once the daemon is ready; may be asked for again after a death."""

    def check(self) -> None:
        """All was done, once; every file lies in its place and nowhere else; the record is whole."""
        self.mill.until(lambda: self._files() == {*self.places, ".gristmill/lock"}, f"{self._files()}")
        assert list((self.mill.jobs / ".gristmill" / "spool").iterdir()) == []
        assert self.ask("PRAGMA integrity_check") == [("ok",)]

    def ask(self, sql: str) -> list[Any]:
        """Rows of the database that a stopped daemon left."""
        with closing(sqlite3.connect(self.mill.state / "queue.db")) as db:
            return db.execute(sql).fetchall()

    def play(self) -> bool:
        """Plays on from where it was; False when the daemon has died on the way."""
        mill = self.mill
        mill.process = mill.spawn("daemon", "--allow-root", "--limit", "2", stdout=subprocess.PIPE)
        assert mill.process.stdout is not None
        with mill.process.stdout:
            alive = mill.process.stdout.readline() == "ready\n"
            if alive:
                self.act()
            alive = alive and self._outcome() == "over"
            mill.process.send_signal(signal.SIGTERM)
            code = mill.process.wait(DEADLINE)
        mill.process = None
        assert code in (0, -signal.SIGKILL), mill.errors.read_text()
        return alive and code == 0

    def _outcome(self) -> str:
        try:
            return str(self.mill.until(lambda: self._over() or self._dead(), "neither done nor dead"))
        except AssertionError as error:
            error.add_note(f"files: {self._files()}")
            raise

    def _over(self) -> str:
        return "over" if all((self.mill.jobs / place).exists() for place in self.places) else ""

    def _dead(self) -> str:
        assert self.mill.process is not None
        return "" if self.mill.process.poll() is None else "dead"

    def _files(self) -> set[str]:
        jobs = self.mill.jobs
        return {str(path.relative_to(jobs)) for path in jobs.rglob("*") if path.is_file()}


class Intake(Script):
    """Three files come, one of them bad; two run, and all are filed away."""

    places = ("failed/two.toml", "done/script.sh", "rejected/bad.toml", "rejected/bad.toml.error")

    def __init__(self, mill: Mill) -> None:
        super().__init__(mill)
        self._undropped = list(FILES)

    def act(self) -> None:
        while self._undropped:
            name = self._undropped.pop(0)
            self.mill.drop(name, FILES[name])

    def check(self) -> None:
        super().check()
        assert sorted((self.mill.base / "out").read_text().split()) == ["script", "two0", "two1"]
        assert (self.mill.jobs / "rejected" / "bad.toml.error").read_text().startswith("bad.toml:1:")
        jobs = self.ask("SELECT name, state, items_done, items_failed, ended_at > 0 FROM jobs ORDER BY name")
        assert jobs == [("script", "done", 1, 0, 1), ("two", "failed", 1, 1, 1)]
        tasks = self.ask("SELECT exit_code, state, attempts FROM tasks ORDER BY exit_code, attempts")
        assert tasks == [(0, "done", 1), (0, "done", 1), (1, "failed", 1)]
        assert [json.loads(row[0]) for row in self.ask("SELECT result FROM results")] == [{"x": 1}]


class Recovery(Script):
    """A daemon takes over what another left: a task that has ended since, one that runs, and two that wait."""

    places = ("failed/left.toml",)

    def prepare(self) -> None:
        mill = self.mill
        mill.start("--limit", "2")
        mill.drop_claimed("left.toml", LEFT)
        mill.running("left", 2)
        mill.kill()
        (mill.base / "go0").touch()
        mill.until(lambda: len(workers(mill)) == 1, "the first task did not end")

    def act(self) -> None:
        for number in (1, 2, 3):
            (self.mill.base / f"go{number}").touch()

    def check(self) -> None:
        super().check()
        assert sorted((self.mill.base / "out").read_text().split()) == [f"{mark}{n}" for mark in "be" for n in range(4)]
        assert self.ask("SELECT number, exit_code, attempts FROM tasks ORDER BY 1") == [(n, n, 1) for n in range(4)]
        assert self.ask("SELECT state, items_done, items_failed FROM jobs") == [("failed", 1, 3)]
        assert [(number, json.loads(row)) for number, row in self.ask("SELECT number, result FROM results")] == [
            (n, n) for n in range(4)
        ]


@contextmanager
def stage(library: Library, base: Path) -> Iterator[tuple[Mill, Shim]]:
    """A fresh mill whose daemon obeys the shim."""
    base.mkdir()
    with Mill(base) as mill, Shim(library, base / "shim", role="daemon") as shim:
        mill.env.update(shim.env)
        yield mill, shim


@pytest.fixture(scope="module")
def count(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Callable[[type[Script]], dict[str, int]]:
    """How many calls of each group a script makes when nobody kills; one play of it tells all."""

    known: dict[type[Script], dict[str, int]] = {}

    def calls(kind: type[Script]) -> dict[str, int]:
        if kind not in known:
            base = tmp_path_factory.mktemp("count") / "mill"
            with stage(library, base) as (mill, shim):
                script = kind(mill)
                script.prepare()
                shim.count(below=base)
                assert script.play()
                script.check()
                known[kind] = {group: shim.seen(group) for group in GROUPS}
        return known[kind]

    return calls


def try_point(library: Library, base: Path, kind: type[Script], group: str, number: int, after: bool) -> bool:
    """Kills at one call and plays to the end; False when there was no such call."""
    with stage(library, base) as (mill, shim):
        script = kind(mill)
        script.prepare()
        shim.kill_at(group, number, below=base, after=after)
        if script.play():
            return False
        assert shim.seen(group) >= number
        shim.clear()
        assert script.play()
        script.check()
        return True


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", [Intake, Recovery])
def test_a_daemon_killed_at_any_of_its_calls_leaves_work_that_the_next_one_finishes(
    library: Library, tmp_path: Path, full: bool, chance: random.Random, kind: type[Script], group: str,
    count: Callable[[type[Script]], dict[str, int]],
) -> None:  # fmt: skip
    calls = count(kind)[group]
    if calls == 0:
        pytest.skip(f"the daemon makes no call of {group} in this script")
    counted = 2
    if full:
        points, counted = [(number, after) for number in range(1, calls + 10) for after in (False, True)], 2 * calls
    else:
        points = [(chance.randint(1, most), chance.random() < 0.5) for most in ((calls + 1) // 2, calls)]
    tried = 0
    for number, after in points:
        print(f"{group} {number} of {calls}, {'after' if after else 'before'} it")
        if not try_point(library, tmp_path / f"{tried}", kind, group, number, after):
            break  # how many there are is different each time: what comes close together is written in one go
        tried += 1
    print(f"{tried} points of {group}")
    assert tried > counted * 0.4, "far fewer calls than were counted"
