"""The power fails under load: whatever was shown as ended or accepted stays so, and all the rest runs to its end."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gristmill.supervisor.core.errors import NoDaemonError
from tests.faults.disk import Disk
from tests.faults.load import KEPT, LONG, SLAIN, TINY, Load, Sort
from tests.faults.shim import Shim
from tests.mill import Mill

GIVING = Sort("giving", 30, 'echo {index} > "$GRIST_RESULT"; ', "exit 0", ((0, None),))
FINAL = ("done", "failed", "timeout", "oom", "canceled", "lost", "interrupted")
Ending = tuple[str, int | None, int | None]


class Powered(Mill):
    """A mill whose jobs and state lie on a disk of their own; what its tasks leave as traces lies beside it."""

    def __init__(self, base: Path, disk: Path) -> None:
        super().__init__(base)
        self.jobs, self.state, self.disk = disk / "jobs", disk / "state", disk
        self.jobs.mkdir(mode=0o755)

    def drop(self, name: str, text: str) -> None:
        """Drops a file as one who means to keep it: written, made durable, then moved in, and that made durable."""
        hidden = self.disk / f"{name}.being-written"
        with hidden.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        hidden.rename(self.jobs / name)
        fd = os.open(self.jobs, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path) as made:
        yield made


@pytest.fixture
def mill(tmp_path: Path, disk: Disk) -> Iterator[Mill]:
    """Takes the place of the ordinary mill; the disk goes after it."""
    base = tmp_path / "mill"
    base.mkdir()
    with Powered(base, disk.path) as made:
        yield made


class Witness:
    """What somebody saw on the screen before the power failed."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.endings: dict[tuple[str, int], Ending] = {}
        self.runs: dict[tuple[str, int], int] = {}
        """How often a task had begun when it was first seen ended."""
        self.jobs: dict[str, int] = {}

    def look(self) -> None:
        """Looks once at everything."""
        mill = self._load.mill
        for job in mill.ask("status")["jobs"]:
            self.jobs[job["name"]] = job["id"]
        for name in self.jobs:
            ended = [task for task in mill.tasks(name) if task["state"] in FINAL]
            begun, _ = self._load.traces(name)
            for task in ended:
                self.endings[name, task["start"]] = (task["state"], task["exit_code"], task["signal"])
                self.runs.setdefault((name, task["start"]), begun[task["start"]])

    def watch(self, seconds: float) -> None:
        """Looks again and again; returns right after the last look."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.look()
            except NoDaemonError:
                continue  # it has not opened its socket yet

    def check(self) -> None:
        """Looks once more: nothing that was seen before is gone or different, or was run again."""
        jobs, endings = dict(self.jobs), dict(self.endings)
        known = {job["name"]: job["id"] for job in self._load.mill.ask("status")["jobs"]}
        assert {name: known.get(name) for name in jobs} == jobs
        self.look()
        now = {(name, task["start"]): task for name in jobs for task in self._load.mill.tasks(name)}
        for key, ending in endings.items():
            task = now.get(key)
            assert task is not None, f"{key} was shown as {ending} and is not known any more"
            assert (task["state"], task["exit_code"], task["signal"]) == ending, f"{key} was shown as {ending}"
            assert self._load.traces(key[0])[0][key[1]] == self.runs[key], f"{key} was shown as ended and run again"


def check_record(mill: Mill, copy: Path) -> None:
    """The database that the disk holds is whole; asked of a copy, so that the daemon finds it as it was."""
    if not (mill.state / "queue.db").exists():
        return  # the power failed before there was one
    copy.mkdir()
    for name in ("queue.db", "queue.db-wal"):
        if (mill.state / name).exists():
            shutil.copy(mill.state / name, copy)
    with closing(sqlite3.connect(copy / "queue.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def fail(mill: Powered, disk: Disk) -> None:
    """The power fails and comes back."""
    disk.cut()
    mill.kill()
    disk.unmount()
    disk.mount()


@pytest.mark.timeout(1800)
def test_what_was_shown_as_ended_survives_a_power_cut_and_the_rest_runs_to_its_end(
    disk: Disk, mill: Powered, shim: Shim, full: bool, chance: random.Random, tmp_path: Path
) -> None:
    load = Load(mill)
    witness = Witness(load)
    for cut in range(40 if full else 3):
        shim.reboot(f"boot-{cut}")
        mill.start("--limit", str(chance.choice((2, 6))))
        witness.check()
        load.drop((KEPT, TINY, LONG, SLAIN, GIVING))
        witness.watch(chance.uniform(0.0, 1.5))
        fail(mill, disk)
        check_record(mill, tmp_path / f"copy{cut}")
    shim.reboot("boot-last")
    mill.start("--limit", "6")
    witness.check()
    before = set(witness.endings)
    reckon(load)
    load.check_places()
    witness.check()
    total = sum(sort.total for sort in load.jobs.values())
    print(f"{len(before)} of {total} tasks were shown as ended before the last cut")


def reckon(load: Load) -> None:
    """Everything came to its right end, and gave what it gives; what a cut interrupted has begun more than once."""
    for name, tasks in load.ended().items():
        sort = load.jobs[name]
        assert [(task["start"], task["exit_code"], task["signal"]) for task in tasks] == [
            (index, *sort.expected(index)) for index in range(sort.total)
        ]
        begun, ended = load.traces(name)
        assert set(begun) == set(ended) == set(range(sort.total))
        if sort is GIVING:
            rows = load.mill.ask("results", job=name)["rows"]
            assert [(row["item"], row["result"]) for row in rows] == [(index, index) for index in range(sort.total)]


def test_what_must_not_run_again_by_itself_is_not_run_again_after_a_power_cut(
    disk: Disk, mill: Powered, shim: Shim
) -> None:
    shim.reboot("boot-first")
    mill.start("--limit", "2")
    mill.drop_claimed("once.toml", f"""command = "echo {{index}} >> {mill.base}/begun; exec sleep 1000"
on_reboot = "hold"
[items]
total = 3
per_task = 1
""")
    mill.running("once", 2)
    mill.until(lambda: len((mill.base / "begun").read_text().split()) == 2, "not begun")
    fail(mill, disk)
    shim.reboot("boot-second")
    mill.start("--limit", "2")
    mill.running("once", 1)
    mill.until(lambda: len((mill.base / "begun").read_text().split()) == 3, "the third has not begun")
    states = {task["start"]: task["state"] for task in mill.tasks("once")}
    assert sorted((mill.base / "begun").read_text().split()) == ["0", "1", "2"]
    assert states == {0: "interrupted", 1: "interrupted", 2: "running"}


def test_what_is_counted_as_done_is_on_the_disk_before_it_is_shown(
    disk: Disk, mill: Powered, shim: Shim, tmp_path: Path
) -> None:
    """A slow disk makes the moment between an end and its record long; the power fails in that moment."""
    shim.slow_sync(200)
    mill.start("--limit", "2")
    mill.drop("many.toml", 'command = "exit 0"\n[items]\ntotal = 200\nper_task = 1\n')
    shown = mill.until(lambda: mill.job("many").get("items_done"), "none is done")
    fail(mill, disk)
    check_record(mill, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy" / "queue.db")) as db:
        ((counted,),) = db.execute("SELECT items_done FROM jobs").fetchall()
        ((done,),) = db.execute("SELECT count(*) FROM tasks WHERE state = 'done'").fetchall()
    assert counted >= shown
    assert done >= shown
