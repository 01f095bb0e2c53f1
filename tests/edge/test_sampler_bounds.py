"""The CPU, memory and pressure of what bounds us: formats of both versions of control groups in a folder that stands
for /proc and the mounted trees, an affinity that is set for real, and real groups where root may make them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gristmill.supervisor.edge.sampler import Sampler

GB = 1 << 30
MB = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
V1 = Path("/sys/fs/cgroup")


class World:
    """A folder with files as the kernel writes them, and a clock."""

    def __init__(self, base: Path) -> None:
        self.base, self.proc, self.now = base, base / "proc", 0.0
        self.write("proc/self/mountinfo", f"31 23 0:26 / {base}/cg rw - cgroup2 cgroup2 rw\n")
        self.write("proc/self/cgroup", "0::/slice/grist\n")
        self.write("cg/slice/grist/cgroup.procs", "")
        self.write("proc/meminfo", "MemTotal:       67108864 kB\nMemFree:         1048576 kB\n"
                                   "MemAvailable:   33554432 kB\nBuffers:           12345 kB\n")
        self.cpus([0] * 10)

    def write(self, path: str, text: str) -> None:
        (self.base / path).parent.mkdir(parents=True, exist_ok=True)
        (self.base / path).write_text(text)

    def cpus(self, *rows: list[int], running: int = 1) -> None:
        """/proc/stat with these seconds for each CPU: user nice system idle iowait irq softirq steal guest guest_nice.
        One row stands for all CPUs that we may use."""
        allowed = sorted(os.sched_getaffinity(0))
        each = list(rows) if len(rows) > 1 else [rows[0]] + [[0] * 10 for _ in allowed[1:]]
        ticks = [[value * TICKS for value in row] for row in each]
        lines = [["cpu "], *([f"cpu{number}"] for number in range(len(each)))]
        lines = [["cpu ", *map(str, map(sum, zip(*ticks, strict=True)))]]
        numbers = allowed if len(each) == len(allowed) else range(len(each))
        lines += [[f"cpu{number}", *map(str, row)] for number, row in zip(numbers, ticks, strict=True)]
        text = "".join(" ".join(line) + "\n" for line in lines)
        self.write("proc/stat", f"{text}intr 5 0 0\nctxt 9\nbtime 1\nprocs_running {running}\nprocs_blocked 0\n")

    def process(self, pid: int, state: str, cpu: float, nice: int, flags: int = 0, rss: int = 0) -> None:
        """A process of this user's that has used so many seconds."""
        user, parent = int(cpu * TICKS), int(pid != 1)
        line = f"{pid} (a) {state} {parent} 1 1 0 -1 {flags} 0 0 0 0 {user} 0 0 0 20 {nice} 1 0 5 4096 {rss // PAGE} 0"
        self.write(f"proc/{pid}/stat", line)

    @contextmanager
    def sampler(self) -> Iterator[Sampler]:
        made = Sampler(self.base, self.proc, lambda: self.now)
        yield made
        made.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# ── CPU ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_the_machine_disk_waits_are_idle_guests_count_once_and_stolen_time_is_used(world: World) -> None:
    with world.sampler() as sampler:
        world.now = 100.0
        #          user nice sys idle iowait irq soft steal guest guest_nice
        world.cpus([10, 5, 4, 40, 30, 1, 2, 3, 6, 2], running=8)
        sample = sampler.look([], [], [])
    assert sample.cores == len(os.sched_getaffinity(0))
    assert sample.cpu_total == pytest.approx(0.25)
    assert sample.cpu_nice == pytest.approx(0.05)
    assert sample.runnable == 7


def test_our_own_niced_work_is_not_others(world: World) -> None:
    world.process(50, "R", 7, nice=10)
    with world.sampler() as sampler:
        sampler.look([50], [50], [])
        world.now = 100.0
        world.cpus([20, 9, 0, 0, 0, 0, 0, 0, 0, 0])
        world.process(50, "R", 13, nice=10)
        sample = sampler.look([50], [50], [])
    assert sample.cpu_ours == pytest.approx(0.06)
    assert sample.cpu_nice == pytest.approx(0.03)
    assert sample.batch_users == 0


def test_users_whose_niced_processes_work_are_counted_for_a_while(world: World) -> None:
    world.process(1, "S", 1, nice=0)
    world.process(60, "S", 0, nice=5)
    world.process(61, "R", 0, nice=0)
    world.process(62, "R", 0, nice=19, flags=0x00200000)  # the kernel's own
    with world.sampler() as sampler:
        assert sampler.look([], [], []).batch_users == 0
        world.now = 1.0
        world.process(60, "S", 0.5, nice=5)  # at work, though never in the act
        assert sampler.look([], [], []).batch_users == 1
        world.now = 5.0
        assert sampler.look([], [], []).batch_users == 1
        world.now = 7.0
        assert sampler.look([], [], []).batch_users == 0
        for pid in range(1000, 1200):  # more than are read again at a look
            world.process(pid, "S", 0, nice=5)
        assert sampler.look([], [], []).batch_users == 0
        world.process(63, "R", 0, nice=5)  # a task so short that it is seen but once
        assert sampler.look([], [], []).batch_users == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU leaves nothing to restrict")
def test_under_an_affinity_only_those_cpus_count(world: World) -> None:
    allowed = os.sched_getaffinity(0)
    one = min(allowed)
    others = [[0, 50, 0, 50, 0, 0, 0, 0, 0, 0]] * (len(allowed) - 1)
    world.cpus([0] * 10, *([0] * 10 for _ in others))
    os.sched_setaffinity(0, {one})
    try:
        with world.sampler() as sampler:
            world.now = 100.0
            os.sched_setaffinity(0, allowed)
            world.cpus([20, 0, 10, 70, 0, 0, 0, 0, 0, 0], *others, running=9)
            os.sched_setaffinity(0, {one})
            sample = sampler.look([], [], [])
    finally:
        os.sched_setaffinity(0, allowed)
    assert sample.cores == 1
    assert sample.cpu_total == pytest.approx(0.30)
    assert sample.cpu_nice == 0
    assert sample.runnable is None


def test_a_quota_above_us_bounds_and_its_groups_use_is_the_total(world: World) -> None:
    world.write("cg/slice/grist/cpu.max", "max 100000\n")
    world.write("cg/slice/cpu.max", "50000 100000\n")
    world.write("cg/slice/cpu.stat", "usage_usec 7000000\nuser_usec 1\nsystem_usec 1\nnice_usec 1000000\n")
    with world.sampler() as sampler:
        world.now = 10.0
        world.cpus([10_000, 0, 0, 0, 0, 0, 0, 0, 0, 0], running=90)  # the host is busy
        world.write("cg/slice/cpu.stat", "usage_usec 10000000\nuser_usec 1\nsystem_usec 1\nnice_usec 2500000\n")
        sample = sampler.look([], [], [])
        assert (sample.cores, sample.runnable) == (0.5, None)
        assert sample.cpu_total == pytest.approx(0.3)
        assert sample.cpu_nice == pytest.approx(0.15)
        assert sample.batch_users == 1  # nobody in sight, but somebody's it must be
        world.now = 20.0
        world.write("cg/slice/cpu.max", "max 100000\n")  # the administrator lifts it
        assert sampler.look([], [], []).cores == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("together", [True, False], ids=["cpu,cpuacct", "apart"])
def test_a_v1_quota(world: World, together: bool) -> None:
    base = world.base
    lines = (f"32 31 0:29 / {base}/v1/cpu rw - cgroup cgroup rw,cpu,cpuacct\n" if together else
             f"32 31 0:29 / {base}/v1/cpu rw - cgroup cgroup rw,cpu\n"
             f"33 31 0:30 / {base}/v1/acct rw - cgroup cgroup rw,cpuacct\n")
    account = "v1/cpu/a" if together else "v1/acct/a"
    world.write("proc/self/mountinfo", lines)
    world.write("proc/self/cgroup", "2:cpu,cpuacct:/a/b\n" if together else "2:cpu:/a/b\n3:cpuacct:/a/b\n")
    for group in ("v1/cpu/a/b", f"{account}/b"):
        (base / group).mkdir(parents=True, exist_ok=True)
    world.write("v1/cpu/a/b/cpu.cfs_quota_us", "-1\n")
    world.write("v1/cpu/a/b/cpu.cfs_period_us", "100000\n")
    world.write("v1/cpu/a/cpu.cfs_quota_us", "80000\n")
    world.write("v1/cpu/a/cpu.cfs_period_us", "100000\n")
    world.write("v1/cpu/a/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n")
    world.write(f"{account}/cpuacct.usage", "5000000000\n")
    with world.sampler() as sampler:
        world.now = 10.0
        world.write(f"{account}/cpuacct.usage", "9000000000\n")
        sample = sampler.look([], [], [])
    assert sample.cores == 0.8
    assert sample.cpu_total == pytest.approx(0.4)


def test_groups_that_we_are_moved_to_while_we_run_are_found(world: World) -> None:
    world.write("cg/tight/cpu.max", "30000 100000\n")
    world.write("cg/tight/cpu.stat", "usage_usec 0\n")
    with world.sampler() as sampler:
        world.now = 1.0
        assert sampler.look([], [], []).cores >= 1
        world.now = 2.0
        world.write("proc/self/cgroup", "0::/tight\n")
        sample = sampler.look([], [], [])
        assert (sample.cores, sample.cpu_total) == (0.3, 0.0)


# ── memory ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_machines_memory_without_a_limit(world: World) -> None:
    world.write("cg/slice/memory.max", "max\n")
    with world.sampler() as sampler:
        sample = sampler.look([], [], [])
        assert (sample.memory_total, sample.memory_available) == (64 * GB, 32 * GB)
        assert sampler.available() == 32 * GB


def test_the_group_with_the_least_left_counts_without_the_cache_that_can_go(world: World) -> None:
    world.write("cg/slice/grist/memory.max", f"{8 * GB}\n")
    world.write("cg/slice/grist/memory.current", f"{1 * GB}\n")
    world.write("cg/slice/memory.max", f"{20 * GB}\n")
    world.write("cg/slice/memory.current", f"{19 * GB}\n")
    world.write("cg/slice/memory.stat", f"anon {9 * GB}\nfile {8 * GB}\nshmem 7\ninactive_anon 5\nactive_anon 7\n"
                                        f"inactive_file {4 * GB}\nactive_file {2 * GB}\nslab_reclaimable 0\n")
    with world.sampler() as sampler:
        sample = sampler.look([], [], [])
        assert (sample.memory_total, sample.memory_available) == (20 * GB, 6 * GB)
        world.write("cg/slice/memory.current", f"{18 * GB}\n")
        assert sampler.available() == 7 * GB  # the quick look sees it too
        world.write("cg/slice/grist/memory.high", f"{4 * GB}\n")
        sample = sampler.look([], [], [])
        assert (sample.memory_total, sample.memory_available) == (4 * GB, 3 * GB)


def test_a_machine_with_less_left_than_the_group(world: World) -> None:
    world.write("cg/slice/memory.max", f"{60 * GB}\n")
    world.write("cg/slice/memory.current", f"{1 * GB}\n")
    with world.sampler() as sampler:
        sample = sampler.look([], [], [])
    assert (sample.memory_total, sample.memory_available) == (64 * GB, 32 * GB)


def test_a_v1_limit_counts_what_is_below_the_group(world: World) -> None:
    world.write("proc/self/mountinfo", f"35 31 0:32 / {world.base}/v1/memory rw - cgroup cgroup rw,memory\n")
    world.write("proc/self/cgroup", "4:memory:/jobs\n")
    world.write("v1/memory/memory.limit_in_bytes", "9223372036854771712\n")
    world.write("v1/memory/jobs/memory.limit_in_bytes", f"{6 * GB}\n")
    world.write("v1/memory/jobs/memory.usage_in_bytes", f"{5 * GB}\n")
    world.write("v1/memory/jobs/memory.stat", f"cache 1\ninactive_file 0\nactive_file 0\n"
                                              f"total_inactive_file {2 * GB}\ntotal_active_file {1 * GB}\n")
    with world.sampler() as sampler:
        sample = sampler.look([], [], [])
    assert (sample.memory_total, sample.memory_available) == (6 * GB, int(3.5 * GB))


def test_between_two_readings_growth_counts_in_full_and_what_is_given_back_in_part(world: World) -> None:
    world.process(50, "S", 0, nice=0, rss=100 * MB)
    world.write("proc/50/smaps_rollup", "5607eb8a3000-7ffc577cc000 ---p 00000000 00:00 0      [rollup]\n"
                                        "Rss:              102400 kB\nPss:               40960 kB\n"
                                        "Pss_Dirty:             4 kB\nPss_Anon:              4 kB\n")
    with world.sampler() as sampler:
        def told(rss: int) -> int:
            world.now += 1.0
            world.process(50, "S", 0, nice=0, rss=rss)
            return sampler.look([50], [], [50]).trees[50].memory_bytes

        assert told(100 * MB) == 40 * MB
        assert told(110 * MB) == 50 * MB
        assert told(90 * MB) == 36 * MB


def test_what_may_not_be_read_counts_with_its_resident_size(world: World) -> None:
    world.process(50, "S", 0, nice=0, rss=100 * MB)
    with world.sampler() as sampler:
        assert sampler.look([50], [], [50]).trees[50].memory_bytes == 100 * MB


# ── pressure ──────────────────────────────────────────────────────────────────────────────────────────────────────


def psi(total: int) -> str:
    return (f"some avg10=73.00 avg60=1.00 avg300=0.00 total={total}\n"
            f"full avg10=0.00 avg60=0.00 avg300=0.00 total={total // 2}\n")


def test_pressure_is_a_share_of_the_period(world: World) -> None:
    for name in ("cpu", "memory", "io"):
        world.write(f"proc/pressure/{name}", psi(1_000_000))
    with world.sampler() as sampler:
        world.now = 2.0
        world.write("proc/pressure/cpu", psi(1_500_000))
        world.write("proc/pressure/io", psi(9_000_000))
        sample = sampler.look([], [], [])
        assert (sample.pressure_cpu, sample.pressure_memory, sample.pressure_io) == (0.25, 0.0, 1.0)


def test_pressure_within_the_group_that_is_bounded(world: World) -> None:
    world.write("proc/pressure/cpu", psi(0))
    world.write("proc/pressure/memory", psi(0))
    world.write("cg/slice/grist/memory.max", f"{8 * GB}\n")
    world.write("cg/slice/grist/memory.current", "0\n")
    world.write("cg/slice/grist/memory.pressure", psi(0))
    with world.sampler() as sampler:
        world.now = 1.0
        world.write("proc/pressure/cpu", psi(100_000))
        world.write("proc/pressure/memory", psi(900_000))
        world.write("cg/slice/grist/memory.pressure", psi(300_000))
        sample = sampler.look([], [], [])
    assert (sample.pressure_cpu, sample.pressure_memory, sample.pressure_io) == (0.1, 0.3, None)


# ── the real kernel ───────────────────────────────────────────────────────────────────────────────────────────────


INSIDE = """
import json, os, sys, time
from pathlib import Path
for group in sys.argv[2:]:
    Path(group, "cgroup.procs").write_text(str(os.getpid()))
from gristmill.supervisor.edge.sampler import Sampler
sampler = Sampler(Path(sys.argv[1]))
def told():
    sample = sampler.look([os.getpid()], [], [])
    return [sample.cores, sample.cpu_total, sample.cpu_ours, sample.memory_total, sample.memory_available]
told()
end = time.monotonic() + 1.5
while time.monotonic() < end:
    pass
before = told()
Path(sys.argv[1], "file").write_bytes(bytes(40 << 20))  # page cache
held = b"1" * (60 << 20)
print(json.dumps([before, told()]))
"""


@contextmanager
def groups_of(*controllers: str) -> Iterator[list[Path]]:
    """A new group below the top of each v1 tree; skips where that can't be had."""
    made = []
    try:
        for name in controllers:
            if not (V1 / name / "tasks").exists() or not os.access(V1 / name, os.W_OK):
                pytest.skip(f"needs root and the {name} tree of control groups v1")
            group = V1 / name / f"grist-test-{os.getpid()}"
            group.mkdir()
            made.append(group)
        yield made
    finally:
        for group in made:
            group.rmdir()


def inside(tmp_path: Path, groups: list[Path]) -> list[list[float]]:
    command = [sys.executable, "-c", INSIDE, str(tmp_path), *map(str, groups)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    values: list[list[float]] = json.loads(told.stdout)
    return values


@pytest.mark.parametrize("accounted", [True, False], ids=["accounted", "not accounted"])
def test_a_real_v1_quota(tmp_path: Path, accounted: bool) -> None:
    with groups_of(*(("cpu", "cpuacct") if accounted else ("cpu",))) as made:
        (made[0] / "cpu.cfs_period_us").write_text("100000")
        (made[0] / "cpu.cfs_quota_us").write_text("50000")
        (cores, total, ours, *_), _ = inside(tmp_path, made)
    assert cores == 0.5
    assert 0 < ours <= 0.5  # how much, others on a busy machine decide
    assert total == pytest.approx(ours, abs=0.1)


def test_a_real_v1_memory_limit(tmp_path: Path) -> None:
    with groups_of("memory") as (group,):
        (group / "memory.limit_in_bytes").write_text(str(256 << 20))
        (*_, total, before), (*_, after) = inside(tmp_path, [group])
    assert total == 256 << 20
    assert before < 256 << 20
    assert 50 << 20 < before - after < 100 << 20  # what is held, and half of the file at most


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU leaves nothing to restrict")
def test_a_real_affinity(tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        (cores, total, ours, *_), _ = inside(tmp_path, [])
    finally:
        os.sched_setaffinity(0, allowed)
    assert cores == 1
    assert 0 < ours <= 1
    assert total >= 0.8  # we alone keep it busy
