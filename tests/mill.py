"""A whole daemon in a temporary folder, driven as a user would: files, the command line, signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from gristmill.supervisor.core.errors import NoDaemonError
from gristmill.supervisor.edge.client import Client
from tests import waiting
from tests.waiting import DEADLINE

__all__ = ["DEADLINE", "Mill"]


class Mill:
    """A jobs folder, its state folder, and the daemon on them."""

    def __init__(self, base: Path) -> None:
        self.base, self.jobs, self.state = base, base / "jobs", base / "state"
        self.jobs.mkdir(mode=0o755)
        self.process: subprocess.Popen[str] | None = None
        self.env = {**os.environ, "HOME": str(base), "XDG_STATE_HOME": str(base / "xdg")}
        self.errors = base / "daemon.err"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the daemon, and every task with it."""
        if self.process is None:
            return
        if self.process.poll() is None:
            try:
                with contextlib.suppress(NoDaemonError):  # it may be on its way out already
                    self.ask("shutdown", kill=True)
                self.process.wait(DEADLINE)
            finally:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    # ── the daemon ────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, *options: str, **how: Any) -> None:
        """Starts the daemon and waits for `ready`."""
        self.begin(*options, **how)
        self.ready()

    def begin(self, *options: str, **how: Any) -> None:
        """Starts the daemon, which may take its time."""
        self.process = self.spawn("daemon", "--allow-root", *options, stdout=subprocess.PIPE, **how)

    def ready(self) -> None:
        """Waits for `ready`."""
        assert self.process is not None and self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.errors.read_text()

    def spawn(self, *words: str, **how: Any) -> subprocess.Popen[str]:
        with open(self.errors, "a") as errors:
            return subprocess.Popen(self.command(*words), env=self.env, stderr=errors, text=True, cwd=self.base, **how)

    def command(self, *words: str) -> list[str]:
        verb, *rest = words
        where = ["--jobs", str(self.jobs), "--state", str(self.state)]
        return [sys.executable, "-m", "gristmill.supervisor.cli", verb, *where, *rest]

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Ends the daemon by a signal and waits until it is gone."""
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(number)
        self.process.wait(DEADLINE)
        self.process.stdout.close()
        self.process = None

    # ── a user ────────────────────────────────────────────────────────────────────────────────────────────────

    def grist(self, *words: str, code: int = 0) -> str:
        """Runs a command and returns what it printed; its exit code must be `code`."""
        done = subprocess.run(
            self.command(*words), env=self.env, cwd=self.base, capture_output=True, text=True, timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def drop(self, name: str, text: str) -> None:
        """Drops a file as a careful user does: written elsewhere, then moved in."""
        hidden = self.base / f"{name}.being-written"
        hidden.write_text(text)
        hidden.rename(self.jobs / name)

    def drop_claimed(self, name: str, text: str) -> None:
        """The same for a job that claims its memory: of a kind that does not, one task runs alone first."""
        self.drop(name, text + '[resources]\nmemory = "4 MiB"\n')

    def ask(self, op: str, **arguments: Any) -> Any:
        with Client(self.state / "socket") as client:
            return client.ask(op, **arguments)

    def status(self) -> dict[str, Any]:
        """`grist status --json`."""
        answer: dict[str, Any] = json.loads(self.grist("status", "--json"))
        return answer

    def job(self, name: str) -> dict[str, Any]:
        """The newest job of this name, {} while there is none."""
        return next((job for job in reversed(self.ask("status")["jobs"]) if job["name"] == name), {})

    def tasks(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("tasks", job=name, limit=1000)["tasks"]
        return found

    def until(self, what: Callable[[], Any], why: str) -> Any:
        """Waits until `what` is true; fails with `why` at the deadline."""

        def once() -> Any:
            with contextlib.suppress(NoDaemonError):  # one that is just starting or ending
                return what()

        return waiting.until(once, lambda: f"{why}\n{self.errors.read_text()}", DEADLINE)

    def after(self, seconds: float) -> None:
        """Lets time pass, for what has to be so for a while."""
        waiting.after(seconds)

    def condition(self, kind: str) -> dict[str, Any]:
        """What the daemon says to be wrong of this kind, {} while it says nothing. There may be others: that it stood
        still for a while, on a machine that is busy with other tests."""
        said = self.ask("status")["daemon"]["conditions"]
        return next((one for one in said if one["kind"] == kind), {})

    def ended(self, name: str) -> dict[str, Any]:
        """The job once it has ended."""
        found: dict[str, Any] = self.until(
            lambda: (job := self.job(name)) and job["ended_at"] is not None and job, f"job {name} has not ended"
        )
        return found

    def running(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """The job's running tasks once there are `count`."""
        found: list[dict[str, Any]] = self.until(
            lambda: (
                self.job(name) and len(now := [t for t in self.tasks(name) if t["state"] == "running"]) >= count and now
            ),
            f"{count} tasks of {name} are not running",
        )
        return found
