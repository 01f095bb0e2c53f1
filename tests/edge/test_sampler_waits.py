"""What a worker would use on a machine that others fill: with real processes on one core, and by counts as literals."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from gristmill.supervisor.edge.sampler import Sampler, Tree
from gristmill.supervisor.edge.sampler.census import Process, Roll
from gristmill.supervisor.edge.sampler.waits import BUDGET, MOST_OF_ONE, Count, Waits, every

BURNS = "while True: pass"
SLEEPS = """
import time
while True:
    time.sleep(0.05)
"""
QUARTER = """
import time
while True:
    end = time.thread_time() + 0.01
    while time.thread_time() < end:
        pass
    time.sleep(0.03)
"""
TWO_THREADS = """
import hashlib, threading
block = bytes(1 << 22)  # hashed without Python's lock
def burn():
    while True:
        hashlib.sha256(block).digest()
threading.Thread(target=burn).start()
burn()
"""
HANGS = """
import os, sys
# until its child is through with opening, a process that spawns is in the kernel's hands, as one that waits for a disk
os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)])
"""


@contextmanager
def one_core() -> Iterator[None]:
    """We, and what we start, may use one core only: what is told is then told of that one."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(scripts: Sequence[str], nice: int, *given: str) -> Iterator[list[int]]:
    """A Python process for each; their pids."""
    made = [
        subprocess.Popen(
            ["nice", "-n", str(nice), sys.executable, "-I", "-S", "-c", script, *given], start_new_session=True
        )
        for script in scripts
    ]
    try:
        yield [one.pid for one in made]
    finally:
        for one in made:
            os.killpg(one.pid, 9)
            one.wait()


@pytest.fixture
def full(tmp_path: Path) -> Iterator[list[Tree]]:
    """What is told of five niced processes after some seconds on one core that is full of somebody else's work: one
    computes, one does so for a quarter of its time, one sleeps, one hangs in the kernel, one has two threads."""
    if Path("/proc/self/schedstat").read_bytes() == b"0 0 0\n":
        pytest.skip("this kernel does not count how long threads wait")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with one_core(), running([BURNS], 0), running([BURNS, QUARTER, SLEEPS, HANGS, TWO_THREADS], 10, str(fifo)) as pids:
        with contextlib.closing(Sampler(tmp_path)) as sampler:
            for _ in range(9):
                time.sleep(1)  # the length of what is measured, not a hope
                trees = sampler.look(pids, pids, []).trees
        yield [trees[pid] for pid in pids]


def test_who_gets_little_is_told_with_what_it_would_use(full: list[Tree]) -> None:
    burns, quarter, sleeps, hangs, threads = full
    assert burns.cpu < 0.5
    assert burns.wanted == pytest.approx(1.0, abs=0.1)
    assert quarter.wanted is not None
    assert quarter.cpu < quarter.wanted < 0.7  # more than its quarter: the wait that is under way is taken on trust
    assert sleeps.wanted == pytest.approx(0.0, abs=0.1)
    assert hangs.wanted == pytest.approx(0.0, abs=0.1)
    assert threads.cpu < 0.5
    assert threads.wanted == pytest.approx(2.0, abs=0.3)


# ── by counts ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Proc:
    """A process table with the counts in it that a test puts there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("self", 1, 0, 1)
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.living: dict[int, Process] = {}

    def write(self, name: str, ran: float, waited: float, turns: int) -> None:
        """One file of counts, in seconds."""
        (self.path / name).mkdir(parents=True, exist_ok=True)
        (self.path / name / "schedstat").write_text(f"{ran * 1e9:.0f} {waited * 1e9:.0f} {turns}\n")

    def process(self, pid: int, root: int, threads: int = 1, state: str = "R") -> Process:
        """A process of a tree."""
        made = self.living[pid] = Process(pid)
        fields = [state, "1", *"000000000", "5", "5", "0", "0", "20", "0", str(threads), "0", str(pid), "0", "9"]
        made.take(f"{pid} (a b) {' '.join(fields)}".encode())
        made.root = root
        return made

    @property
    def roll(self) -> Roll:
        return Roll(self.living, [])


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[Proc]:
    made = Proc(tmp_path)
    yield made
    os.close(made.fd)


def cores(waits: Waits, proc: Proc, now: float, spent: dict[int, float]) -> dict[int, float]:
    """The cores that each tree would use."""
    return {root: wish.cores for root, wish in waits.wanted(proc.roll, now, spent).items()}


def test_who_waited_nearly_all_the_time_weighs_little_beside_who_had_occasion_to_sleep(proc: Proc) -> None:
    waits = Waits(proc.fd)
    for pid, ran, waited in ((7, 0.01, 0.99), (8, 0.1, 0.0)):
        proc.process(pid, root=pid)
        proc.write(str(pid), 5.0, 5.0, 1)
        waits.wanted(proc.roll, 10.0, {7: 5.0, 8: 5.0})
        proc.write(str(pid), 5.0 + ran, 5.0 + waited, 1000)
    told = waits.wanted(proc.roll, 11.0, {7: 5.01, 8: 5.1})
    assert tuple(told[7]) == pytest.approx((1.0, 0.01), rel=0.02)
    assert tuple(told[8]) == pytest.approx((0.1, 1.0), rel=0.02)


def test_the_time_that_is_neither_run_nor_waited_is_what_it_would_not_use(proc: Proc) -> None:
    waits = Waits(proc.fd)
    proc.process(7, root=7)
    proc.write("7", 100.0, 50.0, 1000)
    assert cores(waits, proc, 10.0, {7: 100.0}) == {}
    proc.write("7", 100.1, 50.6, 2000)  # of one second it slept 0.3
    assert cores(waits, proc, 11.0, {7: 100.1}) == {7: pytest.approx(0.25, abs=0.01)}
    proc.write("7", 100.2, 51.2, 3000)
    assert cores(waits, proc, 12.0, {7: 100.2}) == {7: pytest.approx(0.25, abs=0.01)}


def test_threads_are_told_together(proc: Proc) -> None:
    waits = Waits(proc.fd)
    proc.process(7, root=7, threads=3)
    for now, ran, waited in ((1.0, 0.0, 0.0), (2.0, 0.1, 0.9)):
        for thread in (7, 8):
            proc.write(f"7/task/{thread}", 5 + ran, waited, int(1000 * now))
        proc.write("7/task/9", 5.0, 0.0, 9)
        told = cores(waits, proc, now, {7: 15 + 2 * ran})
    assert told == {7: pytest.approx(2.0, abs=0.02)}


def test_after_a_moment_in_which_the_machine_was_not_full_it_begins_anew(proc: Proc) -> None:
    waits = Waits(proc.fd)
    proc.process(7, root=7)
    for now in (1.0, 2.0):
        proc.write("7", now / 10, 0.9 * now, int(1000 * now))
        told = cores(waits, proc, now, {7: now / 10})
    assert told == {7: pytest.approx(1.0)}
    waits.forget()
    assert cores(waits, proc, 3.0, {7: 0.3}) == {}


def test_of_what_was_stopped_nothing_is_said_until_it_has_gone_on_for_a_while(proc: Proc) -> None:
    waits = Waits(proc.fd)
    for now, state in ((1.0, "R"), (2.0, "T"), (60.0, "T"), (61.0, "R")):
        proc.process(7, root=7, state=state)
        proc.write("7", 1.0 + now / 100, 0.0, 10)
        told = cores(waits, proc, now, {7: 1.0 + now / 100})
    assert told == {}
    proc.write("7", 1.71, 0.9, 1000)
    assert cores(waits, proc, 62.0, {7: 1.71}) == {7: pytest.approx(1.0, abs=0.01)}


@pytest.mark.parametrize("content", [None, "0 0 0\n", "version 15\n"])
def test_where_the_kernel_does_not_count_nothing_is_said(proc: Proc, content: str | None) -> None:
    (proc.path / "self/schedstat").unlink()
    if content is not None:
        (proc.path / "self/schedstat").write_text(content)
    waits = Waits(proc.fd)
    proc.process(7, root=7)
    for now in (1.0, 2.0):
        proc.write("7", now / 10, 0.9 * now, int(1000 * now))
        assert cores(waits, proc, now, {7: now / 10}) == {}


def test_where_most_was_used_by_what_ended_meanwhile_nothing_is_said(proc: Proc) -> None:
    waits = Waits(proc.fd)
    proc.process(7, root=7)
    for now in (1.0, 2.0):
        proc.write("7", now / 100, 0.0, int(100 * now))
        told = cores(waits, proc, now, {7: now / 10})
    assert told == {}


def test_a_tree_that_did_nothing_wants_nothing_and_is_not_read_again(proc: Proc) -> None:
    waits = Waits(proc.fd)
    process = proc.process(7, root=7, state="S")
    proc.write("7", 1.0, 0.0, 9)
    cores(waits, proc, 1.0, {7: 1.0})
    process.idle = True
    (proc.path / "7/schedstat").unlink()
    assert cores(waits, proc, 2.0, {7: 1.0}) == {7: 0.0}


def test_of_very_many_threads_so_many_are_read_at_a_look_and_all_have_their_turn(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = range(1000, 1400)
    for pid in roots:
        proc.process(pid, root=pid)
        proc.write(str(pid), 0.0, 0.0, 1)
    proc.process(1399, root=1399, threads=2 * MOST_OF_ONE)
    for thread in range(2 * MOST_OF_ONE):
        proc.write(f"1399/task/{5000 + thread}", 0.0, 0.0, 1)
    waits, plain = Waits(proc.fd), Waits._read
    read: list[str] = []
    told: set[int] = set()

    def reading(self: Waits, path: str, now: float) -> Count | None:
        read.append(path)
        return plain(self, path, now)

    monkeypatch.setattr(Waits, "_read", reading)
    for look in range(1, 12):
        read.clear()
        told |= cores(waits, proc, float(look), dict.fromkeys(roots, 0.0)).keys()
        assert BUDGET / 2 <= len(read) <= BUDGET
    assert told == {*roots}


def test_who_rested_at_the_last_look_alone_is_read_again_when_its_turn_comes(proc: Proc) -> None:
    waits = Waits(proc.fd)
    for pid in (7, 8):  # each takes all of a look
        for thread in range(2 * BUDGET):
            proc.process(100 * pid + thread, root=pid)
            proc.write(str(100 * pid + thread), 0.0, 0.0, 1)
    told: dict[int, float] = {}
    for now in (1.0, 2.0, 3.0):
        for process in proc.living.values():
            process.idle = now == 3.0
            proc.write(str(process.pid), 0.1 * now, 0.3 * now, int(1000 * now))
        told |= cores(waits, proc, now, {7: 0.1 * BUDGET * now, 8: 0.1 * BUDGET * now})
    assert told == {7: pytest.approx(0.143 * BUDGET, rel=0.01)}


@pytest.mark.parametrize(
    ("total", "ours", "pause"), [(8.0, 2.0, 0.0), (7.4, 6.5, 0.0), (7.2, 1.0, None), (8.0, 7.5, 5.0), (8.0, 8.0, 5.0)],
)
def test_it_looks_only_where_the_machine_is_full_and_seldom_where_we_fill_it_alone(
    total: float, ours: float, pause: float | None
) -> None:
    assert every(8.0, total, ours) == pause


def test_who_was_idle_of_late_is_read_all_the_same_after_a_pause(proc: Proc) -> None:
    """Idle is told of the last period alone: what ran before that, since the last look, counts."""
    waits = Waits(proc.fd)
    proc.process(7, root=7)
    proc.write("7", 0.0, 0.0, 1)
    waits.wanted(proc.roll, 1.0, {7: 0.0}, 0.0)
    proc.write("7", 2.0, 2.0, 100)
    proc.living[7].idle = True
    assert waits.wanted(proc.roll, 6.0, {7: 2.0}, 5.0)[7].cores == pytest.approx(0.67, abs=0.02)

