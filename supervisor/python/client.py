"""`Client`: what `grist` does, for programs. Hands in jobs, asks how they are, waits, fetches what they gave back.

Blocking and small: each question is a connection of its own, so that a client may be shared by threads and outlives
daemons. Shapes are those of `grist … --json`, as objects; refusals are the project's `GristError`s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gristmill.supervisor.core import tomltext
from gristmill.supervisor.core.errors import GristError, NoDaemonError
from gristmill.supervisor.core.protocol import JobView, TaskView
from gristmill.supervisor.edge import client as edge
from gristmill.supervisor.edge import places

CHANGED_S = 5.0
"""Seconds for which one question whether something has ended waits."""
AWAY_S = 0.2
"""Pause before a daemon that is away is tried again."""

V = TypeVar("V")
PathLike = str | os.PathLike[str]
Job = int | str | JobView
"""A job by its id, its name (the newest of that name), or as it was shown."""


class Client:
    """The daemon of one jobs folder: `jobs`, GRIST_JOBS, or the nearest `jobs/` upward. A context manager."""

    def __init__(self, jobs: PathLike | None = None, state: PathLike | None = None, *, patience: float = 60.0) -> None:
        """Finds the daemon; raises NoDaemonError when none runs. Whoever waits for something waits `patience` seconds
        for a daemon that has gone away meanwhile."""
        self.jobs = places.jobs_dir(None if jobs is None else os.fspath(jobs), os.environ, Path.cwd())
        self.state = places.state_dir(None if state is None else os.fspath(state), os.environ, self.jobs)
        self.socket = places.socket_path(self.state, os.environ)
        self.patience = patience
        with edge.Client(self.socket):
            pass  # somebody is there

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def submit(self, job: PathLike | Mapping[str, Any], *, name: str | None = None) -> int:
        """Hands in a job, and returns its id once it is durable; raises JobFileError with all that is wrong with it.

        A dict holds the keys of a job file, a text with a `=` in it is a job file's text, anything else the path of
        one. `name` is for a text or dict that has none.
        """
        if isinstance(job, Mapping):
            file, text = f"{name or 'job'}.toml", tomltext.dumps(job)
        elif isinstance(job, str) and "=" in job:
            file, text = f"{name or 'job'}.toml", job
        else:
            file = os.path.basename(job)
            try:
                text = Path(job).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise GristError(f"{os.fspath(job)}: can't be read: {error}") from error
        return int(self.ask("add", file=file, text=text)["id"])

    def status(self) -> list[JobView]:
        """All jobs that the daemon has in mind, oldest first."""
        return [_made(view, JobView) for view in self.ask("status")["jobs"]]

    def job(self, job: Job) -> JobView:
        """One job as it is now."""
        return _made(self.ask("job", job=_name(job), limit=0)["job"], JobView)

    def tasks(self, job: Job, state: str | None = None) -> Iterator[TaskView]:
        """Its tasks by number, or those in one state."""
        number = self.job(job).id  # a new job of its name may come between two pages
        offset, total = 0, 1
        while offset < total:
            page = self.ask("tasks", job=str(number), offset=offset, limit=1000, **({"state": state} if state else {}))
            yield from (_made(view, TaskView) for view in page["tasks"])
            offset, total = offset + 1000, page["total"]

    def wait(self, job: Job, timeout: float | None = None) -> JobView:
        """The job once it has ended, however; raises TimeoutError after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        heard = time.monotonic()
        while True:
            try:
                view = self.job(job)
                if view.ended_at is not None:
                    return view
                heard, job = time.monotonic(), view
                left = CHANGED_S if end is None else end - heard
                if left <= 0:
                    raise TimeoutError(f"job {view.id} ({view.name}) has not ended after {timeout} s: {view.state}")
                self.ask("changed", timeout=min(CHANGED_S, left))
            except NoDaemonError:
                if time.monotonic() - heard > self.patience:
                    raise
                time.sleep(AWAY_S)

    def results(self, job: Job) -> Iterator[dict[str, Any]]:
        """What its items gave back by now, one after the other: `{"item", "params", "task", "result"}`."""
        number = self.job(job).id  # as above
        after: int | None = -1
        while after is not None:
            page = self.ask("results", job=str(number), after=after)
            yield from page["rows"]
            after = page["next"]

    def table(self, job: Job) -> Iterator[dict[str, Any]]:
        """The same as rows of a table, for `pandas.DataFrame`: the item, its parameters and its result's fields are
        columns, as `grist results --csv` has them."""
        for row in self.results(job):
            result = row["result"] if isinstance(row["result"], dict) else {"result": row["result"]}
            yield {"item": row["item"], **row["params"], **result}

    def log(self, task: str, *, err: bool = False) -> str:
        """What a task (`JOB/NUMBER`, or a job that has but one) has printed; `err`: its standard error, where that has
        a file of its own."""
        path = self.ask("log", task=task, err=err)["path"]
        try:
            return "" if path is None else Path(path).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""  # it has written nothing

    def cancel(self, *which: Job) -> str:
        """Ends jobs or tasks (`JOB/NUMBER`); what was done, in words."""
        return str(self.ask("cancel", ids=[_name(job) for job in which])["message"])

    def retry(self, *which: Job, failed: bool = False) -> str:
        """Runs ended jobs or tasks again, or only what has not ended well; what was done, in words."""
        return str(self.ask("retry", ids=[_name(job) for job in which], failed=failed)["message"])

    def ask(self, op: str, **arguments: Any) -> Any:
        """One request of the daemon's own protocol (`core/protocol.py`)."""
        with edge.Client(self.socket) as line:
            return line.ask(op, **arguments)


def _name(job: Job) -> str:
    return str(job.id) if isinstance(job, JobView) else str(job)


def _made(view: Any, shape: type[V]) -> V:
    return msgspec.convert(view, shape)
