"""A daemon to measure: started in a temporary folder, given jobs over its socket, as many workers as are told."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

from gristmill.supervisor.edge.client import Client
from tests.bench import yard
from tests.bench.performance import process
from tests.mill import Mill

CLAIM = '[resources]\nmemory = "4 MiB"\n'
"""Of a kind that claims nothing one task would run first."""


class Ground(Mill):
    """A jobs folder and the daemon on it."""

    @property
    def pid(self) -> int:
        """The daemon's."""
        assert self.process is not None
        return self.process.pid

    def hand_in(self, text: str, name: str = "bench") -> int:
        """A job over the socket; its id."""
        return int(self.ask("add", file=f"{name}.toml", text=text + CLAIM)["id"])

    def end_of(self, number: int) -> dict[str, Any]:
        """The job once it has ended; raises SystemExit when it did not end well."""
        with Client(self.state / "socket") as client:
            while (job := client.ask("job", job=str(number), limit=0)["job"])["ended_at"] is None:
                client.ask("changed", timeout=5)
        if job["state"] != "done":
            raise SystemExit(f"job {number} ended as {job['state']}: {job['reason']}")
        found: dict[str, Any] = job
        return found

    def run(self, command: str, tasks: int) -> tuple[float, float]:
        """(tasks a second from the request to the last end, CPU ms of all our processes a task)."""
        before, began = process.cpu_of(process.ours(self.pid)), time.perf_counter()
        self.end_of(self.hand_in(f"command = {command}\n[items]\ntotal = {tasks}\nper_task = 1\n"))
        wall = time.perf_counter() - began
        return tasks / wall, 1000 * (process.cpu_of(process.ours(self.pid)) - before) / tasks

    def look(self, what: Callable[[], object], why: str, every_s: float, most_s: float = 600.0) -> None:
        """Looks again and again until it is so; SystemExit with why not after so long."""
        end = time.monotonic() + most_s
        while not what():
            if time.monotonic() > end:
                raise SystemExit(why)
            time.sleep(every_s)

    def stop(self) -> None:
        """Ends the daemon, as a user does; `start` starts the next one."""
        assert self.process is not None and self.process.stdout is not None
        self.ask("shutdown")
        self.process.wait(60)
        self.process.stdout.close()
        self.process = None

    def shell(self, line: str) -> float:
        """Seconds that a line of shell takes in a fresh folder; what it leaves there stays, for unlinking many files
        makes those dear that are made next."""
        folder = self.base / f"peer-{time.monotonic_ns()}"
        folder.mkdir()
        began = time.perf_counter()
        env = {**self.env, "T": str(folder), "TMPDIR": str(folder)}
        subprocess.run(["bash", "-c", line], check=True, cwd=folder, env=env, stdout=subprocess.DEVNULL,
                       start_new_session=True)  # as the daemon has: a kernel that groups by session favours neither
        return time.perf_counter() - began


@contextlib.contextmanager
def ground(*options: str, started: bool = True) -> Iterator[Ground]:
    """A started daemon in a temporary folder."""
    found = Ground(yard.folder())
    settings = found.jobs / ".gristmill" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text("nice = 0    # as the others that run beside us\n")
    with found:
        if started:
            found.start("--quiet", *options, start_new_session=True)
        yield found
