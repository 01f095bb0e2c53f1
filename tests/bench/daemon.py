"""A daemon in a folder of its own with a fixed number of workers, for what is measured beside other pools."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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
        """(seconds from handing a job in to its end, CPU ms of daemon and workers a task)."""
        before, began = tree_cpu(self.process.pid), time.perf_counter()
        self.job(f"command = {command}\n[items]\ntotal = {tasks}\nper_task = 1\n")
        wall = time.perf_counter() - began
        return wall, 1000 * (tree_cpu(self.process.pid) - before) / tasks

    def job(self, text: str) -> dict[str, Any]:
        """Hands a job in and waits for its end; SystemExit where it does not go well."""
        with Client(self.state / "socket") as client:
            job = client.ask("add", file="bench.toml", text=text)["id"]
            while (seen := client.ask("job", job=str(job), limit=0)["job"])["ended_at"] is None:
                client.ask("changed", timeout=5)
        if seen["state"] != "done":
            raise SystemExit(f"{seen['name']}: {seen['state']}: {seen['reason']}")
        return dict(seen)

    def close(self) -> None:
        """Ends it."""
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
