"""Files by the thousand: all are accepted, once each, and `status` answers throughout."""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.witness import usual
from tests.mill import Mill

ANSWER_S = 2.0
"""What a `status` may take as a rule, over the socket and as a whole process."""
PATIENCE_S = 1800.0


def written(mill: Mill, count: int) -> list[Path]:
    """Job files beside the folder, ready to be moved in."""
    source = mill.base / "source"
    source.mkdir()
    files = [source / f"f{number:05}.toml" for number in range(count)]
    for number, file in enumerate(files):
        file.write_text(f'command = ["/bin/sh", "-c", "echo {number} >> out"]\n')
    return files


class Watcher:
    """Asks for the status again and again, as a screen and a user would, and notes how long it takes."""

    def __init__(self, mill: Mill) -> None:
        self._mill = mill
        self.socket: list[float] = []
        self.process: list[float] = []
        self.memory = 0

    def until(self, what: Callable[[list[dict[str, object]]], bool]) -> float:
        """Waits until something is so of the jobs; returns the seconds that it took."""
        began = time.monotonic()
        done = threading.Event()
        while time.monotonic() - began < PATIENCE_S:
            now = time.monotonic()
            jobs = self._mill.ask("status")["jobs"]
            self.socket.append(time.monotonic() - now)
            if len(self.socket) % 10 == 1:
                now = time.monotonic()
                self._mill.grist("status")
                self.process.append(time.monotonic() - now)
            assert self._mill.process is not None
            self.memory = max(self.memory, rss(self._mill.process.pid))
            if what(jobs):
                return time.monotonic() - began
            done.wait(max(0.05, 3 * self.socket[-1]))  # a screen does not ask all the time either
        raise AssertionError("not in time")

    def report(self, count: int, seconds: float) -> None:
        """Prints the figures, and holds the daemon to its promise."""
        print(f"{count} files: {count / seconds:.0f} a second accepted, status at most {max(self.socket):.2f} s "
              f"(whole process {max(self.process):.2f} s), daemon at most {self.memory >> 20} MiB")
        assert usual(self.socket) < ANSWER_S
        assert statistics.median(self.process) < ANSWER_S


def rss(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def check(mill: Mill, watcher: Watcher, count: int) -> None:
    """Waits until all have run; each of them once, with nothing left on the way."""
    watcher.until(lambda jobs: all(job["ended_at"] is not None for job in jobs))
    assert sorted(map(int, (mill.base / "out").read_text().split())) == list(range(count))
    watcher.until(lambda _: len(os.listdir(mill.jobs / "done")) == count)
    assert os.listdir(mill.jobs / ".gristmill" / "spool") == os.listdir(mill.jobs / "accepted") == []
    assert not list(mill.jobs.glob("*.toml"))


def accepted(count: int) -> Callable[[list[dict[str, object]]], bool]:
    return lambda jobs: bool(jobs) and jobs[-1]["id"] == count  # ended ones leave the list after a while


@pytest.mark.alone
def test_files_dropped_while_the_daemon_is_stopped(mill: Mill, full: bool) -> None:
    count = 5000 if full else 300
    for file in written(mill, count):
        file.rename(mill.jobs / file.name)
    mill.start("--limit", "4")
    watcher = Watcher(mill)
    seconds = watcher.until(accepted(count))
    check(mill, watcher, count)
    watcher.report(count, seconds)


@pytest.mark.alone
def test_files_dropped_while_it_runs(mill: Mill, full: bool) -> None:
    count = 10_000 if full else 500
    mill.start("--limit", "4")
    files = written(mill, count)
    watcher = Watcher(mill)
    dropper = threading.Thread(target=lambda: [file.rename(mill.jobs / file.name) for file in files])
    dropper.start()
    seconds = watcher.until(accepted(count))
    dropper.join()
    check(mill, watcher, count)
    watcher.report(count, seconds)


def test_files_of_one_name_by_the_hundred(mill: Mill, full: bool) -> None:
    count = 2000 if full else 200
    mill.start("--limit", "4")
    for number, file in enumerate(written(mill, count), 1):
        file.rename(mill.jobs / "same.toml")
        mill.until(lambda: not (mill.jobs / "same.toml").exists(), f"{number} is not claimed")
    watcher = Watcher(mill)
    watcher.until(accepted(count))
    check(mill, watcher, count)
    assert len({*os.listdir(mill.jobs / "done")}) == count


@pytest.mark.parametrize("kills", [4])
def test_files_dropped_while_it_is_killed_again_and_again(
    mill: Mill, full: bool, chance: random.Random, kills: int
) -> None:
    count, kills = (3000, 60) if full else (300, kills)
    mill.start("--limit", "2")
    files = written(mill, count)
    spool = mill.jobs / ".gristmill" / "spool"
    moments = sorted(chance.randrange(count) for _ in range(kills))
    for number, file in enumerate(files):
        file.rename(mill.jobs / file.name)
        while moments and moments[0] == number:
            moments.pop(0)
            mill.until(lambda: os.listdir(spool) or not list(mill.jobs.glob("*.toml")), "nothing is claimed")
            mill.kill()
            mill.start("--limit", "2")
    watcher = Watcher(mill)
    watcher.until(accepted(count))
    check(mill, watcher, count)
