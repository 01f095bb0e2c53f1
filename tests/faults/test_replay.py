"""The power fails at any moment of a recorded run: whatever was shown as ended or accepted by then is still there.

As `test_power_cut`, without a file system of its own and so without root: `replay` says what a disk may hold. Every cut
is looked at; of some of the folders another daemon makes the best, and that one must run what is left and nothing else.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gristmill.supervisor.core.errors import NoDaemonError
from tests.faults.load import KEPT, Load, Sort
from tests.faults.replay import History, Names, Tail, read
from tests.faults.shim import Library, Shim
from tests.mill import DEADLINE, Mill

FINAL = ("done", "failed", "timeout", "oom", "canceled", "lost", "interrupted")
Ending = tuple[str, int | None, int | None]
FEW = Sort("few", 20, "", "exit $(({index} % 3))", ((0, None), (1, None), (2, None)))
SLOW = Sort(
    "slow", 6, "sleep 0.$((100 + {index} * 137 % 300)); ", "exit $((75 * ({index} % 2)))", ((0, None), (75, None))
)
SHOT = Sort("shot", 3, "", "kill -$((9 + {index} % 2 * 6)) $$", ((None, 9), (None, 15)))
SORTS = (FEW, SLOW, SHOT, KEPT)
DROP = """import os, sys
hidden, target, text = sys.argv[1:]
with open(hidden, "w") as file:
    file.write(text)
    file.flush()
    os.fsync(file.fileno())
os.rename(hidden, target)
for path in (target, hidden):
    os.fsync(os.open(os.path.dirname(path), os.O_RDONLY))
"""
WRITTEN_BY_TASKS = re.compile(r"state/(logs|results|runs/\d+/(log|err|result)\b)")


class Recorded(Mill):
    """A mill whose jobs and state lie below one folder, to which all that happens is recorded; traces lie beside it."""

    def __init__(self, base: Path, library: Library) -> None:
        super().__init__(base)
        self.jobs.rmdir()
        self.disk = base / "disk"
        self.jobs, self.state = self.disk / "jobs", self.disk / "state"
        self.jobs.mkdir(mode=0o755, parents=True)
        self.shim = Shim(library, base / "shim")
        self.env.update(self.shim.env)
        self._user = base / "cold.py"  # by this name the shim knows whom to record
        self._user.write_text(DROP)

    def __enter__(self) -> Recorded:
        return self

    def drop(self, name: str, text: str) -> None:
        """Drops a file as one who means to keep it, and is recorded."""
        words = [str(self.disk / f"{name}.being-written"), str(self.jobs / name), text]
        subprocess.run([sys.executable, "-I", "-S", str(self._user), *words], env=self.env, check=True)


@dataclass
class Seen:
    """What somebody saw, and after which event at the latest it was so: the count is read once the answer is there."""

    load: Load
    mill: Recorded
    dropped: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, tuple[int, int]] = field(default_factory=dict)
    """(event, id) by name."""
    endings: dict[tuple[str, int], tuple[int, Ending]] = field(default_factory=dict)
    looks: list[int] = field(default_factory=list)

    def drop(self, sort: Sort) -> None:
        self.load.drop([sort])
        self.dropped[list(self.load.jobs)[-1]] = self.mill.shim.recorded()

    def add(self, sort: Sort) -> None:
        """Hands a job in over the socket; once that is answered it is accepted."""
        name = f"{sort.name}{len(self.load.jobs)}"
        self.load.jobs[name] = sort
        job = self.mill.ask("add", file=name + sort.suffix, text=sort.text(name, self.mill.base))["id"]
        self.jobs[name] = (self.mill.shim.recorded(), job)

    def look(self) -> bool:
        """Looks once at everything; returns whether all jobs have ended."""
        jobs = self.mill.ask("status")["jobs"]
        number = self.mill.shim.recorded()
        for job in jobs:
            self.jobs.setdefault(job["name"], (number, job["id"]))
        for name in self.jobs:
            tasks = self.mill.tasks(name)
            number = self.mill.shim.recorded()
            for task in tasks:
                if task["state"] in FINAL:
                    ending = (task["state"], task["exit_code"], task["signal"])
                    self.endings.setdefault((name, task["start"]), (number, ending))
        self.looks.append(number)
        return len(jobs) == len(self.load.jobs) and all(job["ended_at"] is not None for job in jobs)


def run(mill: Recorded, sorts: list[Sort], chance: random.Random) -> Seen:
    """Records one run: jobs dropped before and after the start, a daemon killed, another that takes over and is handed
    the last job."""
    load = Load(mill)
    seen = Seen(load, mill)
    mill.shim.reboot("boot-first")
    mill.shim.record(mill.disk, mill.base / "record")
    mill.shim.slow_sync(15)  # so that what is shown before it is durable is seen
    seen.drop(sorts[0])
    mill.start("--limit", str(chance.choice((2, 5))))
    mill.shim.kill_at("mkdir", chance.randint(2, 7), below=mill.jobs / ".gristmill/spool")
    rest = sorts[1:-1]
    first = mill.process

    def over() -> bool:
        assert mill.process is not None
        if mill.process.poll() is not None:
            mill.kill()
            mill.shim.kill_at("mkdir", 0, below=mill.jobs)
            mill.start("--limit", "4")
            seen.add(sorts[-1])
        if rest:
            seen.drop(rest.pop(0))
        try:
            return seen.look() and mill.process is not first
        except NoDaemonError:
            return False  # it was killed just now

    mill.until(over, "not all has ended")
    load.check()
    mill.kill()
    mill.shim.stop_recording()
    mill.shim.slow_sync(0)
    return seen


def differences(mill: Recorded, history: History, copy: Path) -> list[str]:
    """What the record does not explain: names and data that differ from a folder which is made from all of it."""
    history.rebuild(copy, history.last, Names.JOURNAL, Tail.ALL, random.Random(0))

    def held(folder: Path) -> dict[str, bytes]:
        found = {}
        for path in folder.rglob("*"):
            name = str(path.relative_to(folder))
            unseen = name.endswith("-shm") or WRITTEN_BY_TASKS.match(name) or stat.S_ISSOCK(path.lstat().st_mode)
            if not unseen:
                found[name] = path.read_bytes() if path.is_file() else b"/"
        return found

    real, made = held(mill.disk), held(copy)
    return [name for name in sorted(real.keys() | made.keys()) if real.get(name) != made.get(name)]


def check(seen: Seen, disk: Path, cut: int) -> set[str]:
    """A folder after a cut, before anybody starts on it: its database whole, all there that was shown; jobs by name."""
    jobs, tasks = check_record(disk)
    for name, (number, job) in seen.jobs.items():
        assert number > cut or jobs.get(name) == job, f"{name} was shown as job {job}"
    for key, (number, ending) in seen.endings.items():
        assert number > cut or tasks.get(key) == ending, f"{key} was shown as {ending}, and is {tasks.get(key)}"
    files = Counter(path.stem for path in (disk / "jobs").rglob("*.*") if path.suffix in (".toml", ".sh"))
    assert set(files.values()) <= {1}, f"files that lie in two places: {files}"
    wanted = {name for name, number in seen.dropped.items() if number <= cut} | set(jobs)
    assert wanted <= set(files), "a file is nowhere"
    return set(files)


def check_record(disk: Path) -> tuple[dict[str, int], dict[tuple[str, int], Ending]]:
    """The database is whole and says nothing that the files below do not bear out; its jobs and its tasks."""
    if not (disk / "state/queue.db").exists():
        return {}, {}
    with closing(sqlite3.connect(disk / "state/queue.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not db.execute("PRAGMA user_version").fetchone()[0]:
            return {}, {}
        jobs = db.execute("SELECT name, id, file, source, place FROM jobs").fetchall()
        tasks = db.execute(
            "SELECT name, start, tasks.state, exit_code, signal FROM tasks JOIN jobs ON job = jobs.id"
        ).fetchall()
    scripts = [path.read_bytes() for path in (disk / "state/scripts").rglob("*.*")]
    for name, _, file, source, place in jobs:
        assert not (disk / "jobs" / file).exists(), f"{name} is accepted, and lies there to be accepted once more"
        where = disk / "jobs" / os.fsdecode(place)
        there = place.startswith(b"accepted/") or where.exists()
        assert there, f"{name} does not lie where the record says: {place}"
        assert not file.endswith(".sh") or source in scripts, f"{name} is accepted, and its script is not kept"
    return {name: job for name, job, *_ in jobs}, {(name, start): tuple(ending) for name, start, *ending in tasks}


def take_over(mill: Recorded, seen: Seen, cut: int, names: set[str], boot: str) -> None:
    """Another daemon after a reboot: all jobs end as they should, and what was shown as ended does not run again."""
    for path in mill.base.glob("*.out"):
        path.unlink()
    load = Load(mill, {name: sort for name, sort in seen.load.jobs.items() if name in names})
    mill.shim.reboot(boot)
    mill.start("--limit", "6")
    ended = load.ended()
    known = [(job["name"], job["id"]) for job in mill.ask("status")["jobs"]]
    assert sorted(name for name, _ in known) == sorted(names), "not every job once"
    for name, tasks in ended.items():
        sort = load.jobs[name]
        number, job = seen.jobs[name]
        assert number > cut or dict(known)[name] == job
        assert [(task["start"], task["exit_code"], task["signal"]) for task in tasks] == [
            (index, *sort.expected(index)) for index in range(sort.total)
        ], name
        begun, over = load.traces(name)
        assert begun == over
        assert set(begun.values()) <= {1}, f"{name}: run twice after the cut: {begun}"
        shown = {index for (of, index), (number, _) in seen.endings.items() if of == name and number <= cut}
        assert not shown & set(begun), f"{name}: shown as ended and run again"
    load.check_places()
    mill.kill()


def choose(seen: Seen, history: History, count: int, chance: random.Random) -> list[int]:
    """Moments to cut at: any, and right after somebody looked."""
    return [chance.choice(seen.looks) if n % 2 else chance.randint(1, history.last) for n in range(count)]


def test_what_was_shown_survives_a_cut_at_any_event_and_the_rest_runs_to_its_end(
    library: Library, tmp_path: Path, full: bool, chance: random.Random
) -> None:
    rounds, cuts, starts = (12, 100, 12) if full else (1, 14, 2)
    for turn in range(rounds):
        base = tmp_path / str(turn)
        base.mkdir()
        with Recorded(base, library) as mill, mill.shim:
            seen = run(mill, chance.sample(SORTS, len(SORTS)) * (2 if full else 1), chance)
            history = History(mill.disk, ["jobs"], read(base / "record"))
            assert differences(mill, history, base / "all") == []
            shutil.rmtree(base / "all")
            for number, cut in enumerate(choose(seen, history, cuts, chance)):
                states = [(names, tail, chance.getrandbits(64)) for names in Names for tail in Tail]
                for names, tail, state in states:
                    print(f"round {turn}: after event {cut} of {history.last}, {names.value}, {tail.value}")
                    history.rebuild(base / "cut", cut, names, tail, random.Random(state))
                    check(seen, base / "cut", cut)
                    shutil.rmtree(base / "cut")
                if number % (cuts // starts) == 1:
                    names, tail, state = chance.choice(states)
                    print(f"a daemon takes over: {names.value}, {tail.value}")
                    shutil.rmtree(mill.disk)
                    history.rebuild(mill.disk, cut, names, tail, random.Random(state))
                    take_over(mill, seen, cut, check(seen, mill.disk, cut), f"boot-{number}")
            print(f"{len(seen.endings)} tasks were shown as ended at {len(seen.looks)} looks")


AFTER_KILLS = {"a claim": 1, "the way from accepted/": 3}
"""Renames of one job's file: a daemon is killed after each."""


@pytest.mark.parametrize("what", AFTER_KILLS)
def test_a_rename_of_a_killed_daemon_is_durable_before_the_next_one_records_what_it_found(
    library: Library, tmp_path: Path, what: str
) -> None:
    with Recorded(tmp_path, library) as mill, mill.shim:
        seen = Seen(Load(mill), mill)
        mill.shim.record(mill.disk, tmp_path / "record")
        mill.shim.kill_at("rename", AFTER_KILLS[what], below=mill.jobs, after=True)
        mill.start()
        seen.drop(FEW)
        assert mill.process is not None
        mill.process.wait(DEADLINE)
        mill.kill()
        mill.shim.kill_at("rename", 0, below=mill.jobs)
        mill.start()
        mill.until(seen.look, "not all has ended")
        seen.drop(FEW)  # taken in once the daemon has finished what the other one left
        mill.until(seen.look, "not all has ended")
        mill.kill()
        mill.shim.stop_recording()
        history = History(mill.disk, ["jobs"], read(tmp_path / "record"))
        for cut in range(1, history.last + 1):
            history.rebuild(tmp_path / "cut", cut, Names.ALONE, Tail.NOTHING, random.Random(0))
            check(seen, tmp_path / "cut", cut)
            shutil.rmtree(tmp_path / "cut")
