"""Dispatch rate: 2,000 × /bin/true through a whole daemon, beside `xargs -P` in the same rounds.

    python tests/bench/dispatch.py [--rounds 5] [--tasks 2000] [--slots 8]

Prints one Markdown table: tasks a second as medians, and the median of the ratios round by round, which is the
figure to quote: the machine is noisy, and absolute rates move with it. The daemon does what it always does: a
session, a journal and a durable record for every task.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gristmill.supervisor.edge.client import Client


class Daemon:
    """A daemon in a folder of its own, with a fixed number of workers."""

    def __init__(self, base: Path, slots: int) -> None:
        self.jobs, self.state = base / "jobs", base / "state"
        self.jobs.mkdir(parents=True)
        command = [sys.executable, "-m", "gristmill.supervisor.cli", "daemon", "--quiet", "--allow-root",
                   "--jobs", str(self.jobs), "--state", str(self.state), "--limit", str(slots)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit("the daemon did not start")

    def run(self, command: str, tasks: int) -> tuple[float, float]:
        """(seconds from the first start to the last end, CPU ms of daemon and workers a task)."""
        with Client(self.state / "socket") as client:
            text = f"command = {command}\n[items]\ntotal = {tasks}\nper_task = 1\n"
            before = tree_cpu(self.process.pid)
            began = time.perf_counter()
            job = client.ask("add", file="bench.toml", text=text)["id"]
            while client.ask("job", job=str(job), limit=0)["job"]["ended_at"] is None:
                client.ask("changed", timeout=5)
            wall = time.perf_counter() - began
            return wall, 1000 * (tree_cpu(self.process.pid) - before) / tasks

    def close(self) -> None:
        with Client(self.state / "socket") as client:
            client.ask("shutdown")
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


def tree_cpu(root: int) -> float:
    """CPU seconds of our own processes: the daemon, the spawner and the workers, their tasks left out."""
    ticks = os.sysconf("SC_CLK_TCK")
    table: dict[int, tuple[int, float]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_bytes()
            except OSError:
                continue
            fields = stat[stat.rindex(b")") + 2 :].split()
            table[int(entry)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / ticks)
    ours = {root}
    while more := {pid for pid, (parent, _) in table.items() if parent in ours} - ours:
        ours |= more
    return sum(table[pid][1] for pid in ours if pid in table)


def xargs(argv: list[str], tasks: int, slots: int) -> tuple[float, float]:
    """The same tasks by xargs, which keeps no record, no log and no session."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    numbers = "\n".join(map(str, range(tasks)))
    line = ["xargs", "-P", str(slots), "-n", "1", *argv]
    subprocess.run(line, input=numbers, text=True, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / tasks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--slots", type=int, default=8)
    options = parser.parse_args()
    loads = {"silent": (["/bin/true"], '["/bin/true"]'), "a line each": (["/bin/echo"], '["/bin/echo", "{index}"]')}
    print(f"{options.tasks} tasks, {options.slots} slots, {options.rounds} rounds, {os.cpu_count()} cores, "
          f"load {os.getloadavg()[0]:.2f}\n")
    print("| tasks | gristmill tasks/s | xargs tasks/s | ratio (min – max) | our CPU ms a task |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as base:
        daemon = Daemon(Path(base), options.slots)
        try:
            for name, (argv, command) in loads.items():
                daemon.run(command, options.tasks // 10)
                ours, theirs, cpu = [], [], []
                for _ in range(options.rounds):
                    wall, spent = daemon.run(command, options.tasks)
                    ours.append(options.tasks / wall)
                    cpu.append(spent)
                    theirs.append(options.tasks / xargs(argv, options.tasks, options.slots)[0])
                ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
                print(
                    f"| {name} | {statistics.median(ours):.0f} | {statistics.median(theirs):.0f} | "
                    f"{statistics.median(ratios):.2f} ({min(ratios):.2f} – {max(ratios):.2f}) | "
                    f"{statistics.median(cpu):.2f} |", flush=True,
                )
        finally:
            daemon.close()


if __name__ == "__main__":
    main()
