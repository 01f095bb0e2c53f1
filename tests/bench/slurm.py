"""What handing tasks over to Slurm costs, on a cluster of its own on loopback; and, with nodes in memory, how it grows.

    python -m tests.bench.slurm [--only overhead,many,follow,grow,faults] [--tasks 10000] [--rounds 3] [--full]

`overhead`: 200 tasks of a second each, by `sbatch --array` alone and by a daemon, from the command to the end of the
last. `many`: so many tiny tasks through two nodes, and how often `squeue` was called. `follow`: the daemon's CPU while
so many tasks wait and run there. `grow`: jobs over 1,000 nodes in memory, up to a million tasks with `--full`: CPU for
each task, for a round of looking, and memory. `faults`: what fails around tasks there, one after another, and of each
how often tasks began, how many were lost, how many ran twice; of Slurm, and of Ray where that is installed.

Figures of CPU hold on a busy machine as well; seconds only on a quiet one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gristmill.supervisor.beyond import Beyond
from gristmill.supervisor.core.conditions import Conditions
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.spec import Items, Spec
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.ledger import Ledger
from tests.engines import cluster, witness
from tests.engines.cluster import Cluster
from tests.engines.twin import Twin
from tests.mill import Mill

TICK = os.sysconf("SC_CLK_TCK")
NODES, SLOTS = 1000, 10


@contextmanager
def mill_on(slurm: Cluster, **settings: object) -> Iterator[Mill]:
    """A mill of its own that knows the cluster, and an squeue that writes down when it is called."""
    base = Path(tempfile.mkdtemp(prefix="bench", dir="/tmp"))
    (base / "bin").mkdir()
    (base / "bin" / "squeue").write_text(
        f'#!/bin/sh\ndate +%s.%N >> {base}/asked\nexec {cluster.program("squeue")} "$@"\n')
    (base / "bin" / "squeue").chmod(0o755)
    try:
        with Mill(base) as mill:
            mill.env = {**mill.env, "SLURM_CONF": slurm.env["SLURM_CONF"], "PATH": f"{base}/bin:{mill.env['PATH']}"}
            (mill.jobs / ".gristmill").mkdir(0o700)
            lines = [f"{key} = {value!r}".replace("'", '"') for key, value in settings.items()]
            (mill.jobs / ".gristmill" / "settings.toml").write_text("\n".join(lines) + "\n")
            mill.start()
            yield mill
    finally:
        shutil.rmtree(base, ignore_errors=True)


@contextmanager
def clusters(cpus: int) -> Iterator[Cluster]:
    """A cluster of two nodes."""
    base = Path(tempfile.mkdtemp(prefix="gb", dir="/tmp"))
    try:
        with Cluster(base, cpus=cpus) as slurm:
            yield slurm
    finally:
        shutil.rmtree(base, ignore_errors=True)


def gaps(mill: Mill) -> list[float]:
    """Seconds between two calls of squeue."""
    path = mill.base / "asked"
    times = [float(line) for line in path.read_text().split()] if path.exists() else []
    return [after - before for before, after in itertools.pairwise(times)]


def cpu_s(pid: int) -> float:
    """What a process has used, and those that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICK


def overhead(tasks: int, rounds: int) -> None:
    """Seconds from the command to the end of the last task."""
    alone, ours = [], []
    with clusters(cpus=4) as slurm:  # more slots than cores would measure the cores
        for _ in range(rounds):
            ends = slurm.base / "ends"
            ends.unlink(missing_ok=True)
            began = time.time()
            slurm.run("sbatch", f"--array=0-{tasks - 1}", "--output=/dev/null", "--wrap",
                      f"sleep 1; date +%s.%N >> {ends}")  # fmt: skip
            slurm.until(lambda: ends.exists() and ends.read_text().count("\n") == tasks, "all of them")  # noqa: B023
            alone.append(max(map(float, ends.read_text().split())) - began)
            slurm.until(lambda: not slurm.queue(), "an empty queue")
            with mill_on(slurm) as mill:
                began = time.time()
                mill.drop("sleep.toml", f'where = "slurm"\ncommand = "sleep 1; date +%s.%N >> ends"\n'
                                        f"[items]\ntotal = {tasks}\n")  # fmt: skip
                while not (job := mill.job("sleep")) or job["ended_at"] is None:
                    mill.after(0.2)
                ours.append(max(map(float, (mill.base / "ends").read_text().split())) - began)
    one, other = statistics.median(alone), statistics.median(ours)
    print(f"overhead: {tasks} × sleep 1 on 8 slots: sbatch alone {one:.1f} s, Gristmill {other:.1f} s: "
          f"{100 * (other / one - 1):+.0f} % (median of {rounds})")  # fmt: skip


def many(tasks: int) -> None:
    """Tiny tasks through two nodes."""
    with clusters(cpus=2) as slurm, mill_on(slurm) as mill:
        assert mill.process is not None
        began, before = time.monotonic(), cpu_s(mill.process.pid)
        mill.drop("many.toml", f'where = "slurm"\ncommand = "true"\n[items]\ntotal = {tasks}\n')
        while not (job := mill.job("many")) or job["ended_at"] is None:
            mill.after(1)
        wall, cpu = time.monotonic() - began, cpu_s(mill.process.pid) - before
        found = gaps(mill)
        print(f"many: {tasks} × true through 2 nodes: {wall:.0f} s, {job['items_done']} done, daemon {cpu:.1f} s of "
              f"CPU ({1e6 * cpu / tasks:.0f} µs a task); {len(found) + 1} squeue, {min(found, default=0):.1f} s apart "
              f"at least")  # fmt: skip


def follow(tasks: int, seconds: float) -> None:
    """The daemon's CPU while tasks wait and run."""
    with clusters(cpus=2) as slurm, mill_on(slurm, beyond_queue=tasks) as mill:
        assert mill.process is not None
        mill.drop("follow.toml", f'where = "slurm"\ncommand = "sleep 3600"\n[items]\ntotal = {tasks}\n')
        mill.until(lambda: mill.running("follow", 4), "none runs")
        while sum(one["queued"] + one["running"] for one in mill.ask("status")["engines"]) < tasks:
            mill.after(1)
        mill.after(10)
        before, began = cpu_s(mill.process.pid), time.monotonic()
        mill.after(seconds)
        used = (cpu_s(mill.process.pid) - before) / (time.monotonic() - began)
        print(f"follow: {tasks} tasks in Slurm, 4 of them running: the daemon and its squeue use {100 * used:.2f} % of "
              f"a core")  # fmt: skip
        mill.grist("cancel", "follow")
        mill.ended("follow")


async def grow(total: int) -> None:
    """One job over nodes in memory."""
    base = Path(tempfile.mkdtemp(prefix="grow", dir="/dev/shm"))
    twin = Twin(NODES, SLOTS)
    settings = Settings(beyond_queue=2 * NODES * SLOTS)
    conditions = Conditions(time.monotonic, time.time, lambda view, began: None)
    working, spent, idle, rounds = True, 0.0, [], 0
    with Store(base / "queue.db") as store:
        ledger = Ledger(store, time.time, lambda: 0.5)
        ledger.load()
        beyond = Beyond([twin], ledger, conditions, lambda: settings, os.environ, base / "shared", "bench")
        outpost = beyond.outposts["slurm"]
        spec = Spec(name="grow", kind="command", command="true", cwd="/", where="slurm", items=Items(total=total))
        job = await ledger.accept("a", "grow.toml", spec, b"", b"")
        job.footprint.learn(60.0, 59.0, 1 << 20)
        job.footprint.ends = 100  # what a task takes is known
        began = time.monotonic()
        while working:
            for first in (True, False):  # the second time nothing has changed
                before = time.process_time()
                await outpost.look_now()
                await ledger.flush()
                used = time.process_time() - before
                if first:
                    spent += used
                else:
                    idle.append(used)
            rounds += 1
            twin.finish(NODES * SLOTS // 2)
            twin.begin()
            working = job.id in ledger.jobs
        await beyond.close()
        size = (base / "queue.db").stat().st_size
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    quiet = statistics.median(idle[1:-1] or idle)
    print(f"grow: {total:9,} tasks over {NODES} nodes, {NODES * SLOTS:,} at once: {1e6 * spent / total:4.0f} µs of CPU "
          f"a task, {1000 * quiet:4.0f} ms a round in which nothing changes ({100 * quiet / 5:.1f} % of a core), "
          f"{rss:.0f} MB at most, {size / 1e6:.0f} MB of database, {time.monotonic() - began:.0f} s",
          flush=True)  # fmt: skip
    shutil.rmtree(base, ignore_errors=True)


def faults() -> None:
    """The table with which the tests of faults end."""
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/engines/test_slurm_faults.py",
            "tests/engines/test_ray.py"]  # fmt: skip
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    print(done.stdout[done.stdout.find(witness.HEAD) :] if witness.HEAD in done.stdout else done.stdout + done.stderr)
    if done.returncode:
        sys.exit(done.stdout)


def main() -> None:
    """Reads the options, runs, prints."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.slurm", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--only", default="overhead,many,follow,grow", metavar="PART,…")
    parser.add_argument("--tasks", type=int, default=10_000, metavar="N", help="of many and follow")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of overhead")
    parser.add_argument("--full", action="store_true", help="grow up to a million tasks")
    args = parser.parse_args()
    if set(args.only.split(",")) - {"grow"} and (why := cluster.missing()):
        sys.exit(why)
    for part in args.only.split(","):
        if part == "overhead":
            overhead(200, args.rounds)
        elif part == "many":
            many(args.tasks)
        elif part == "follow":
            follow(args.tasks, 30.0)
        elif part == "faults":
            faults()
        elif part == "grow":
            for total in (10_000, 100_000, 1_000_000) if args.full else (10_000, 50_000):
                asyncio.run(grow(total))


if __name__ == "__main__":
    main()
