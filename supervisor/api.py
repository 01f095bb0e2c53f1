"""What can be asked of the daemon: one method a request, found by its name in one table.

Reads and orders only; it holds no state of its own. Sentences for people are the clients', save the one-line
messages that say what was done or why not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from gristmill.supervisor import beat, gathering, why
from gristmill.supervisor.core import items, progress
from gristmill.supervisor.core.answers import WhyView
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.figures import several
from gristmill.supervisor.core.governor import Running
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.portrait import portray
from gristmill.supervisor.core.protocol import SCHEMA, JobView, TaskView
from gristmill.supervisor.core.secrets import veiled
from gristmill.supervisor.core.task import TASK_FINAL, JobState, Task, TaskState, note
from gristmill.supervisor.edge import results, store
from gristmill.supervisor.edge.server import Connection
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.feed import Feed
from gristmill.supervisor.finder import Finder, names
from gristmill.supervisor.intake import Intake
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.pages import Pages
from gristmill.supervisor.pool import Pool
from gristmill.supervisor.tuner import Tuner

Operation: TypeAlias = Callable[[Connection, dict[str, Any]], Awaitable[Any]]
PAGE = 1000
MOST_WHOLE = (1 << 63) - 1
"""The record can compare with no larger number."""


class Api:
    """Answers requests."""

    def __init__(
        self, ledger: Ledger, pool: Pool, feed: Feed, tuner: Tuner, intake: Intake, record: Store,
        stop: Callable[[str], None],
    ) -> None:
        self._ledger, self._pool, self._feed, self._tuner = ledger, pool, feed, tuner
        self._intake, self._store, self._stop = intake, record, stop
        self._pages, self._finder = Pages(record), Finder(ledger, record)
        self._table: dict[str, Operation] = {
            "status": self._status, "tasks": self._tasks, "job": self._job_status, "log": self._log,
            "results": self._results, "cancel": self._cancel, "retry": self._retry, "limit": self._limit,
            "add": self._add, "shutdown": self._shutdown, "subscribe": self._subscribe,
            "changed": self._changed, "why": self._why,
        }

    def include(self, operations: Mapping[str, Operation]) -> None:
        """Requests that another part answers."""
        self._table.update(operations)

    async def handle(self, connection: Connection, request: dict[str, Any]) -> Any:
        """Carries out one request; raises GristError when it can't be."""
        operation = self._table.get(str(request.get("op")))
        if operation is None:
            raise RequestError(f"unknown request {request.get('op')!r} – known: {', '.join(sorted(self._table))}")
        return await operation(connection, request)

    # ── reads ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _status(self, _: Connection, request: dict[str, Any]) -> dict[str, Any]:
        """All there is; with `near`, of jobs that wait only the next thousands, and how many more there are."""
        jobs, more = self._feed.jobs(), len(self._ledger.loft)
        if more and not request.get("near"):
            far = await asyncio.to_thread(self._portraits, self._ledger.loft.numbers())
            jobs, more = sorted((*jobs, *far), key=lambda view: view.id), 0
        answer = {
            "schema": SCHEMA, "daemon": self._feed.daemon(), "limit": self._feed.limit_now(),
            "machine": self._feed.machine, "jobs": jobs, "workers": self._feed.workers(), "jobs_more": more,
            "engines": self._feed.engines(),
        }
        await self._ledger.settled()  # what it says is durable before it is said
        return answer

    def _portraits(self, numbers: frozenset[int]) -> list[JobView]:
        with self._store.reading() as queries:
            return [portray(job) for job in queries.unfinished() if job.id in numbers]

    async def _why(self, _: Connection, __: dict[str, Any]) -> WhyView:
        tuner = self._tuner
        if tuner.reading is None:
            raise RequestError("the daemon has only just started – try again in a second")
        return why.explain(
            self._ledger, tuner.state, tuner.reading, tuner.decision, self._feed.limit_now(), list(self._feed.decisions)
        )

    async def _job_status(self, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        page = await self._tasks(connection, request)
        return {"schema": SCHEMA, **page}

    async def _tasks(self, _: Connection, request: dict[str, Any]) -> dict[str, Any]:
        job = await self._finder.of(request)
        offset, most = _whole(request, "offset", 0), min(PAGE, _whole(request, "limit", 100))
        state, number = request.get("state"), request.get("number")
        await self._ledger.settled()
        if number is not None and job.guided is None:
            rows, total = await self._pages.page(job, _whole(request, "number", 0), 1)  # none beyond the last
            offset = number
        elif number is not None:
            task = await self._pages.find(job, _whole(request, "number", 0))
            rows, total = [task], job.tasks
            offset = await self._pages.place(job, task.number)
        elif state:
            rows, total = await self._pages.page_of(job, str(state), offset, most)
        else:
            rows, total = await self._pages.page(job, offset, most)
        running = {} if self._tuner.reading is None else {one.task: one for one in self._tuner.reading.running}
        views = [self._task_view(job, task, running.get(str(task.key))) for task in rows]
        return {"job": portray(job), "tasks": views, "total": total, "offset": offset}

    def _task_view(self, job: Job, task: Task, seen: Running | None) -> TaskView:
        """A task; `seen` is what the last look at the machine told of it."""
        log: str | None = task.log
        now = seen if seen is not None and task.number in job.live else None
        done = None if now is None else now.progress
        if task.number in job.live:
            path = self._feed.log_path(task)
            log = str(path) if task.started_at is not None and path.exists() else None
        return TaskView(
            id=f"{job.id}/{task.number}", number=task.number, start=task.start, count=task.count,
            state="queued" if task.place and task.state is TaskState.STARTING else task.state.value,
            where=task.place.partition(":")[0] or "local", host=task.host, engine_id=task.engine_id,
            reason=task.reason, attempts=task.attempts, worker=task.worker, pid=task.pid,
            exit_code=task.exit_code, signal=task.signal, started_at=task.started_at, ended_at=task.ended_at,
            cpu_s=task.cpu_s, memory_peak_bytes=task.memory_peak_bytes, log=log,
            params=veiled(items.params(job.spec.items, task.start)) if task.count == 1 else {},
            gpus=[one for one in task.gpus.split(",") if one],
            stands_for=task.stands_for, progress=done, ran_s=None if now is None else round(now.age, 3),
            left_s=None if now is None or done is None else progress.left(now.age, done),
        )

    async def _log(self, _: Connection, request: dict[str, Any]) -> dict[str, Any]:
        job, number = await self._finder.task(str(request.get("task")))
        task = await self._pages.find(job, number)
        live, tries = number in job.live, task.attempts
        path = str(self._feed.log_path(task)) if live else task.log
        attempt = _whole(request, "attempt", 0)
        if attempt and attempt != tries:  # an earlier one, whose log lies where it was put when that ended
            if attempt > tries:
                raise RequestError(f"task {job.id}/{number} was tried {tries} times – there is no attempt {attempt}")
            task, live = note(task, attempts=attempt, run=None), False
            path = _there(self._feed.log_path(task))
        if request.get("err"):
            path = _there(self._feed.log_path(task, "err"))
        return {"path": path, "live": live, "state": task.state.value, "attempt": task.attempts, "attempts": tries,
                "reason": task.reason}  # fmt: skip

    async def _results(self, _: Connection, request: dict[str, Any]) -> dict[str, Any]:
        """Results one an item, a page of tasks at a time; `next` is where to go on, null at the end, where `finally` is
        what that step gave back."""
        job = await self._finder.of(request)
        after = _whole(request, "after", -1)
        await self._ledger.settled()
        found = await self._store.ask("results", job.id, after, gathering.PAGE, gathering.PAGE_BYTES)
        last = found[-1][0] if found else None
        answer = {"rows": await asyncio.to_thread(gathering.rows, job, found), "next": last}
        if last is None and (gave := await self._store.ask("finish_result", job.id)) is not None:
            answer["finally"] = results.decoded(gave, 0)
        return answer

    # ── orders ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _cancel(self, _: Connection, request: dict[str, Any]) -> dict[str, str]:
        """With `kill`, what runs gets a moment where its job gives it a longer grace."""
        said, kill = [], bool(request.get("kill", False))
        for which in names(request):
            job, number = await self._finder.either(which)
            if number is None:
                again = kill and job.id in self._ledger.jobs and job.state is JobState.CANCELED
                live = list(job.live.values()) if again else await self._ledger.cancel(self._finder.active(job))
                how = "killed" if kill else "told to end"
                said.append(f"job {job.id} ({job.spec.name}) canceled, {several(len(live), 'running task')} {how}")
            else:
                task = await self._ledger.cancel_task(self._finder.active(job), number)
                live = [task] if task is not None else []
                how = "canceled" if not live else "killed" if kill else "told to end"
                said.append(f"task {job.id}/{number} {how}")
            for task in live:
                self._pool.orders.end(task)
                if kill:
                    self._pool.orders.evict(task.key)
        return {"message": "; ".join(said)}

    async def _retry(self, _: Connection, request: dict[str, Any]) -> dict[str, str]:
        failed_only = bool(request.get("failed", False))
        states = [str(s) for s in TASK_FINAL if not (failed_only and s is TaskState.DONE)]
        said = []
        for which in names(request):
            job, number = await self._finder.either(which)
            if job.finish is not None and job.finish.state not in TASK_FINAL:
                raise RequestError(f"job {job.id} ({job.spec.name}) is at its [finally] step – retry it when that has "
                                   "ended, or cancel it")
            if job.live and job.state is JobState.CANCELED:
                raise RequestError(f"job {job.id} ({job.spec.name}) is still ending – try again in a moment")
            if number is None:
                tasks = await self._ended(job, states)
            else:
                task = await self._pages.find(job, number)
                has_record = task.ended_at is not None  # one that was never handed out has none
                tasks = [task] if task.state in TASK_FINAL and has_record else []
            unbegun = job.state in (JobState.CANCELED, JobState.FAILED) and job.handout.more
            if not tasks and not unbegun:
                how = " badly" if failed_only else ""
                raise RequestError(f"{which}: nothing to retry – no task of it has ended{how}")
            left = await self._ledger.retry(job, tasks)
            await self._intake.bring_back(job.id)
            again = sum(task.stands_for for task in tasks)
            said.append(f"job {job.id} ({job.spec.name}): {several(again, 'task')} queued again, {left} to do")
        return {"message": "; ".join(said)}

    async def _ended(self, job: Job, states: list[str]) -> list[Task]:
        found: list[Task] = []
        while page := await self._store.ask("tasks", job.id, states, len(found), 10_000):
            found += page
        return found

    async def _limit(self, _: Connection, request: dict[str, Any]) -> dict[str, str]:
        workers = request.get("workers")
        whole = isinstance(workers, int) and not isinstance(workers, bool)
        if workers is not None and not (whole and 0 <= workers <= 4096):
            raise RequestError("the limit is a whole number from 0 to 4096, or auto")
        self._tuner.fixed = workers
        self._tuner.step()
        self._store.write(store.save_meta("limit", "auto" if workers is None else str(workers)))
        return {"message": "limit: found by the governor" if workers is None else f"limit: {workers}, fixed"}

    async def _add(self, _: Connection, request: dict[str, Any]) -> dict[str, Any]:
        if self._store.fault:
            raise RequestError(f"nothing can be taken in now: {self._store.fault} – free some space, then try again")
        job = await self._intake.submit(str(request.get("file")), str(request.get("text")))
        return {"id": job.id, "name": job.spec.name, "items": job.spec.items.total}

    async def _shutdown(self, _: Connection, request: dict[str, Any]) -> dict[str, str]:
        how = "kill" if request.get("kill") else "drain" if request.get("drain") else "now"
        asyncio.get_running_loop().call_later(0.05, self._stop, how)  # after this answer
        running = sum(len(job.live) for job in self._ledger.live.values())
        go_on = several(running, "running task goes on", "running tasks go on")
        ended = several(running, "running task has ended", "running tasks have ended")
        told = several(running, "running task is told to end", "running tasks are told to end")
        words = {"now": f"the daemon stops; {go_on} without it", "drain": f"the daemon stops when {ended}",
                 "kill": f"{told}; the daemon stops after that"}
        return {"message": words[how]}

    async def _changed(self, _: Connection, request: dict[str, Any]) -> dict[str, bool]:
        """Waits until a job ends, `timeout` seconds at most."""
        seconds = request.get("timeout", 1.0)
        if not isinstance(seconds, int | float) or not 0 <= seconds <= 60:
            raise RequestError("timeout is a number of seconds from 0 to 60")
        return {"ended": await beat.within(self._ledger.finished, seconds)}

    async def _subscribe(self, connection: Connection, _: dict[str, Any]) -> dict[str, Any]:
        await self._feed.subscribe(connection)
        return {}


def _there(path: Path) -> str | None:
    return str(path) if path.exists() else None


def _whole(request: dict[str, Any], key: str, default: int) -> int:
    value = request.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RequestError(f"{key} is a whole number")
    if not min(0, default) <= value <= MOST_WHOLE:
        raise RequestError(f"{key} is a whole number from {min(0, default)} to {MOST_WHOLE}")
    return value
