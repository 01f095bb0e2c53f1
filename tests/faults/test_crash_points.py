"""The daemon killed at each of its calls that change a file: whatever N it was, the next daemon finishes the work."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults.shim import Library, Shim
from tests.mill import DEADLINE, Mill

GROUPS = ("rename", "link", "unlink", "mkdir", "fsync", "write")
SHORT_POINTS = 3
FILES = {
    "two.toml": 'command = "echo two{index} >> out; exit {index}"\n[items]\ntotal = 2\nper_task = 1\n',
    "script.sh": "#!/bin/sh\n#GRIST cwd = \".\"\necho script >> out\necho '{\"x\": 1}' > $GRIST_RESULT\n",
    "bad.toml": "command = 3\n",
}
PLACES = ("failed/two.toml", "done/script.sh", "rejected/bad.toml", "rejected/bad.toml.error")
OUT = ["script", "two0", "two1"]


class Script:
    """A short life of a daemon, always the same: start, three files, the end of their work, stop."""

    def __init__(self, mill: Mill) -> None:
        self._mill = mill
        self._undropped = list(FILES)

    def play(self) -> bool:
        """Plays on from where it was; False when the daemon has died on the way."""
        mill = self._mill
        mill.process = mill.spawn("daemon", "--allow-root", "--limit", "2", stdout=subprocess.PIPE)
        assert mill.process.stdout is not None
        with mill.process.stdout:
            alive = mill.process.stdout.readline() == "ready\n"
            while alive and self._undropped:
                name = self._undropped.pop(0)
                mill.drop(name, FILES[name])
            alive = alive and self._outcome() == "over"
            mill.process.send_signal(signal.SIGTERM)
            code = mill.process.wait(DEADLINE)
        mill.process = None
        assert code in (0, -signal.SIGKILL), mill.errors.read_text()
        return alive and code == 0

    def _outcome(self) -> str:
        try:
            return str(self._mill.until(lambda: self._over() or self._dead(), "neither done nor dead"))
        except AssertionError as error:
            error.add_note(f"files: {self._files()}")
            raise

    def _files(self) -> set[str]:
        jobs = self._mill.jobs
        return {str(path.relative_to(jobs)) for path in jobs.rglob("*") if path.is_file()}

    def _over(self) -> str:
        return "over" if all((self._mill.jobs / place).exists() for place in PLACES) else ""

    def _dead(self) -> str:
        assert self._mill.process is not None
        return "" if self._mill.process.poll() is None else "dead"

    def check(self) -> None:
        """All was done, once; every file lies in its place and nowhere else; the record is whole."""
        mill = self._mill
        out = mill.base / "out"
        mill.until(lambda: out.exists() and sorted(out.read_text().split()) == OUT, "not run, or not once")
        assert self._files() == {*PLACES, ".gristmill/lock"}
        assert list((mill.jobs / ".gristmill" / "spool").iterdir()) == []
        assert (mill.jobs / "rejected" / "bad.toml.error").read_text().startswith("bad.toml:1:")
        with closing(sqlite3.connect(mill.state / "queue.db")) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            jobs = db.execute("SELECT name, state, items_done, items_failed, ended_at > 0 FROM jobs ORDER BY name")
            assert jobs.fetchall() == [("script", "done", 1, 0, 1), ("two", "failed", 1, 1, 1)]
            tasks = db.execute("SELECT exit_code, state, attempts FROM tasks ORDER BY exit_code, attempts")
            assert tasks.fetchall() == [(0, "done", 1), (0, "done", 1), (1, "failed", 1)]
            assert [json.loads(row[0]) for row in db.execute("SELECT result FROM results")] == [{"x": 1}]


@contextmanager
def stage(library: Library, base: Path) -> Iterator[tuple[Mill, Shim]]:
    """A fresh mill whose daemon obeys the shim."""
    base.mkdir()
    with Mill(base) as mill, Shim(library, base / "shim", role="daemon") as shim:
        mill.env.update(shim.env)
        yield mill, shim


def count(library: Library, base: Path, group: str) -> int:
    """How many calls of `group` the script makes when nobody kills."""
    with stage(library, base) as (mill, shim):
        shim.count(below=base)
        script = Script(mill)
        assert script.play()
        script.check()
        return shim.seen(group)


def try_point(library: Library, base: Path, group: str, number: int, after: bool) -> bool:
    """Kills at one call and plays to the end; False when there was no such call."""
    with stage(library, base) as (mill, shim):
        script = Script(mill)
        shim.kill_at(group, number, below=base, after=after)
        if script.play():
            return False
        assert shim.seen(group) >= number
        shim.clear()
        assert script.play()
        script.check()
        return True


@pytest.mark.parametrize("group", GROUPS)
def test_a_daemon_killed_at_any_of_its_calls_leaves_work_that_the_next_one_finishes(
    library: Library, tmp_path: Path, full: bool, chance: random.Random, group: str
) -> None:
    calls = count(library, tmp_path / "count", group)
    if calls == 0:
        pytest.skip(f"the daemon makes no call of {group} in this script")
    if full:
        points = [(number, after) for number in range(1, calls + 10) for after in (False, True)]
    else:
        points = [(chance.randint(1, calls), chance.random() < 0.5) for _ in range(min(calls, SHORT_POINTS))]
    tried = 0
    for number, after in points:
        print(f"{group} {number} of {calls}, {'after' if after else 'before'} it")
        if not try_point(library, tmp_path / f"{number}{'after' if after else 'before'}{tried}", group, number, after):
            assert number > calls * 0.8, "far fewer calls than were counted"
            break
        tried += 1
    print(f"{tried} points of {group}")
