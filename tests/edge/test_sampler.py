"""Whose CPU time and memory it is, with real process trees: children that end, deep trees, orphans, shared pages."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gristmill.supervisor.edge.sampler import Sample, Sampler
from tests.waiting import DEADLINE, until

PERIOD = 0.1
"""Seconds between two looks: ten of the kernel's ticks."""

BURN = """
import ctypes, os, signal, sys, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
def child(act, *given):
    pid = os.fork()
    if pid == 0:
        act(*given)
        os._exit(0)
    return pid
"""
SHORT = BURN + """
for _ in range(60):
    os.waitpid(child(burn, 0.02), 0)
"""
DEEP = BURN + """
def level(depth):
    burn(0.1)
    if depth:
        os.waitpid(child(level, depth - 1), 0)
    burn(0.1)
level(6)
"""
ORPHANS = BURN + """
def leave():
    child(burn, 0.4)  # whose parent is gone at once
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
for _ in range(3):
    child(leave)
    burn(0.05)
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
"""
MIDDLE = BURN + """
def middle():
    child(burn, 0.6)
    burn(0.3)  # counted, then its own child goes on without it
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
os.waitpid(child(middle), 0)
os.wait()
burn(0.2)
"""
CROWD = BURN + """
def late():
    time.sleep(1)
    burn(0.02)
for pid in [child(late) for _ in range(140)]:
    os.waitpid(pid, 0)
"""
LEFT = BURN + """
def busy():
    burn(0.3)
    time.sleep(2)
def middle():
    child(busy)
    time.sleep(1.3)
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
for _ in range(5):
    child(middle)  # whose child rests when it leaves it
for _ in range(130):
    child(time.sleep, 4)
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
"""


@pytest.fixture
def sampler(tmp_path: Path) -> Iterator[Sampler]:
    made = Sampler(tmp_path)
    yield made
    made.close()


@contextmanager
def running(script: str, **more: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process, ended afterwards."""
    command = [sys.executable, "-I", "-S", "-c", script]
    made = subprocess.Popen(  # type: ignore[call-overload]
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, **more
    )
    try:
        yield made
    finally:
        if made.returncode is None:
            os.killpg(made.pid, 9)
        made.communicate()


def watch(sampler: Sampler, pid: int) -> list[Sample]:
    """Looks at a process until it has ended, and once at what is then left of it: its parent has not waited yet."""
    samples = []
    deadline = time.monotonic() + DEADLINE
    ended = False
    while not ended:
        assert time.monotonic() < deadline
        time.sleep(PERIOD)  # the length of what is measured, not a hope
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        samples.append(sampler.look([pid], [pid], []))
    return samples


@pytest.mark.parametrize(
    "script",
    [SHORT, DEEP, ORPHANS, MIDDLE, CROWD, LEFT],
    ids=["short", "deep", "orphans", "middle", "crowd", "left"],
)
def test_all_cpu_of_a_tree_is_counted_once(sampler: Sampler, script: str) -> None:
    with running(script) as made:
        samples = watch(sampler, made.pid)
        _, status, usage = os.wait4(made.pid, 0)
        made.returncode = status
    truth = usage.ru_utime + usage.ru_stime
    assert truth > 1.0
    spent = [sample.trees[made.pid].spent for sample in samples]
    assert spent == sorted(spent)
    assert spent[-1] == pytest.approx(truth, rel=0.05, abs=0.1)


class Clock:
    """One that remembers when it was looked at: a sampler does that once at its beginning, and once a look."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self) -> float:
        self.times.append(time.monotonic())
        return self.times[-1]

    @property
    def spans(self) -> list[float]:
        """The seconds from look to look."""
        return [after - before for before, after in itertools.pairwise(self.times)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(tmp_path: Path, clock: Clock) -> Iterator[Sampler]:
    """A sampler that goes by that clock."""
    made = Sampler(tmp_path, clock=clock)
    yield made
    made.close()


def test_a_child_that_is_collected_makes_no_jump(timed: Sampler, clock: Clock) -> None:
    script = BURN + """
for _ in range(2):
    os.waitpid(child(burn, 1.0), 0)
"""
    with running(script) as made:
        spent = [sample.trees[made.pid].spent for sample in watch(timed, made.pid)]
    steps = [after - before for before, after in itertools.pairwise(spent)]
    assert all(step < span + 0.5 for step, span in zip(steps, clock.spans[1:], strict=True)), "a child counts twice"


def test_what_a_parent_never_waits_for_is_not_taken_from_what_comes_after(sampler: Sampler) -> None:
    script = BURN + """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel forgets the time of such children
child(burn, 0.5)
try:
    os.wait()
except ChildProcessError:
    pass
for _ in range(5):
    burn(0.1)
"""
    with running(script) as made:
        samples = watch(sampler, made.pid)
    assert samples[-1].trees[made.pid].spent > 0.75


def test_workers_that_end_below_the_daemon_leave_its_total_right(timed: Sampler, clock: Clock) -> None:
    script = BURN + """
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # what is used at once stays below what can be
made = [child(burn, 0.4) for _ in range(3)]
print(*made, flush=True)
for pid in made:
    os.waitpid(pid, 0)
burn(0.3)
"""
    with running(script) as made:
        assert made.stdout is not None
        workers = [int(word) for word in made.stdout.readline().split()]
        total, ended, deadline = 0.0, False, time.monotonic() + DEADLINE
        spent: dict[int, float] = {}
        while not ended:
            assert time.monotonic() < deadline
            time.sleep(PERIOD)
            ended = os.waitid(os.P_PID, made.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
            sample = timed.look([made.pid], workers, [])
            total += sample.cpu_ours * clock.spans[-1]
            spent |= {pid: tree.spent for pid, tree in sample.trees.items()}
        _, made.returncode, usage = os.wait4(made.pid, 0)
    assert spent.keys() == {*workers}
    assert all(0.1 < seconds < 0.6 for seconds in spent.values())  # each has its own
    assert total == pytest.approx(usage.ru_utime + usage.ru_stime, rel=0.1, abs=0.1)


def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    script = """
import os, signal
held = bytearray(64 << 20)
for at in range(0, len(held), 4096):
    held[at] = 1
for _ in range(3):
    if os.fork() == 0:
        break
else:
    print("ready", flush=True)
signal.pause()
"""
    clock = iter(range(1000))
    sampler = Sampler(tmp_path, clock=lambda: float(next(clock)))
    with running(script) as made:
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        first = sampler.look([made.pid], [], [made.pid]).trees[made.pid].memory_bytes
        for _ in range(12):  # one process at a look, should the machine be that slow
            last = sampler.look([made.pid], [], [made.pid]).trees[made.pid].memory_bytes
        sampler.close()
    assert first <= 4 * (80 << 20)
    assert 64 << 20 <= last < 90 << 20


def test_a_workers_own_memory_is_not_its_tasks(sampler: Sampler) -> None:
    with running("import sys; held = b'1' * (32 << 20); print('ready', flush=True); sys.stdin.read()") as made:
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        sample = sampler.look([made.pid], [made.pid], [])
        assert sample.trees[made.pid].memory_bytes == 0
        assert sample.memory_ours > 32 << 20


def test_niced_work_of_others_is_seen_with_its_user(tmp_path: Path) -> None:
    other = 65534 if os.geteuid() == 0 else None  # else it is as another daemon of our own user
    sampler = Sampler(tmp_path)
    burner = subprocess.Popen(
        ["nice", "-n", "5", "/bin/sh", "-c", "while :; do :; done"], cwd="/", user=other, group=other,
        extra_groups=None if other is None else [],
    )
    try:
        deadline = time.monotonic() + DEADLINE
        while True:
            assert time.monotonic() < deadline
            time.sleep(PERIOD)
            sample = sampler.look([], [], [])
            if sample.cpu_nice > 0.01 and (other or os.getuid()) in sampler._census.strangers.users(time.monotonic()):
                break
        assert sample.batch_users >= 1
        assert burner.poll() is None
    finally:
        burner.kill()
        burner.wait()
        sampler.close()


def test_few_open_files_are_enough(tmp_path: Path) -> None:
    script = """
import os, signal
for _ in range(60):
    if os.fork() == 0:
        break
else:
    print("ready", flush=True)
signal.pause()
"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, hard))
    try:
        sampler = Sampler(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with running(script) as made:
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        for _ in range(3):
            sample = sampler.look([made.pid], [made.pid], [])
        assert len(os.listdir("/proc/self/fd")) < before + 50
        assert sample.trees[made.pid].memory_bytes > 60 * (1 << 20) // 8  # all sixty are seen
    sampler.close()
    assert len(os.listdir("/proc/self/fd")) == before


def until_it_sleeps(pid: int) -> None:
    """Waits for `sleep` to have begun: it waits, and is not on its way into the program any more."""
    until(lambda: Path(f"/proc/{pid}/stat").read_text().startswith(f"{pid} (sleep) S"), "it does not begin")


def test_a_stranger_that_becomes_a_root_brings_all_that_is_below_it(sampler: Sampler) -> None:
    script = """
import os, sys
for _ in sys.stdin:
    print(os.posix_spawn("/bin/sleep", ["sleep", "1000"], {}), flush=True)
"""
    with running(script) as made:
        assert made.stdin is not None
        assert made.stdout is not None
        made.stdin.write("\n")
        made.stdin.flush()
        until_it_sleeps(int(made.stdout.readline()))  # before, it may hold nothing of its own yet
        assert sampler.look([], [], []).trees == {}
        assert sampler.look([made.pid], [made.pid], []).trees[made.pid].memory_bytes > 0  # that of `sleep`
        assert sampler.look([], [], []).memory_ours == 0
        assert sampler.look([made.pid], [made.pid], []).trees[made.pid].memory_bytes > 0


def test_what_calls_share_with_their_worker_is_no_calls_own(sampler: Sampler) -> None:
    script = BURN + """
size = 200_000_000
data = bytearray(size)
data[::4096] = b"x" * len(data[::4096])
def worker():
    def call(own, changed):
        mine = bytearray(own)
        mine[::4096] = b"x" * len(mine[::4096])
        data[:changed:4096] = b"y" * len(data[:changed:4096])
        print(os.getppid(), flush=True)
        sys.stdin.readline()
    os.waitpid(child(call, *given.pop()), 0)
given = [(1, 1), (100_000_000, 1), (1, 100_000_000)]
made = []
while given:
    made.append(child(worker))
    given.pop()
for pid in made:
    os.waitpid(pid, 0)
"""
    with running(script) as made:
        assert made.stdout is not None
        workers = [int(made.stdout.readline()) for _ in range(3)]
        callers = sorted(workers)  # in the order in which they were forked, the last of what is given first
        deadline = time.monotonic() + DEADLINE
        first = sampler.look([made.pid], callers, [], callers)
        while True:
            assert time.monotonic() < deadline
            time.sleep(PERIOD)
            sample = sampler.look([made.pid], callers, [], callers)
            held = [sample.trees[pid].memory_bytes for pid in callers]
            right = all(abs(one - wanted) < 8e6 for one, wanted in zip(held, (100e6, 100e6, 0), strict=True))
            if right and 400e6 < sample.memory_ours < 450e6:
                break
        assert all(first.trees[pid].memory_bytes < 120e6 for pid in callers), "what is shared was charged to a call"
