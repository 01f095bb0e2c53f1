"""A daemon in a folder of its own with a fixed number of workers, for what is measured beside other pools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from gristmill.supervisor.edge.client import Client


class Daemon:
    """Started at once; its jobs are handed in over its socket."""

    def __init__(self, base: Path, slots: int) -> None:
        self.jobs, self.state = base / "jobs", base / "state"
        self.jobs.mkdir(parents=True)
        command = [sys.executable, "-m", "gristmill.supervisor.cli", "daemon", "--quiet", "--allow-root",
                   "--jobs", str(self.jobs), "--state", str(self.state), "--limit", str(slots)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit("the daemon did not start")

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
