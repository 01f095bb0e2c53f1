"""A daemon that decides nothing: ledger, store, pool and workers, told what to do with which task by lines on stdin.

    python tests/faults/keeper.py STATE WORKERS

Hands out whatever there is to as many workers as it is told to keep; a request is a JSON line, and so is its answer.
Closing stdin stops it as a daemon is stopped: tasks go on.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from gristmill.supervisor.core.conditions import Conditions
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.launch import launch
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.core.tools import Tools
from gristmill.supervisor.edge.runs import Runs
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.hiring import Hiring
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.pool import Pool
from gristmill.supervisor.workshops import Workshops

TICK_S = 0.2


def no_calls(job: Job) -> Tools:
    raise NotImplementedError(f"job {job.id} is one of calls")


class Keeper:
    """The parts, and what may be asked of them."""

    def __init__(self, state: Path, workers: int, record: Store) -> None:
        self.state, self.workers, self.record = state, workers, record
        self.ledger = Ledger(record, time.time, random.random)
        self.conditions = Conditions(time.monotonic, time.time, lambda *_: None)
        log = os.open(state / "spawner.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
        runs, shops = Runs(state), Workshops(self.ledger, no_calls, log, state)
        hiring = Hiring(runs, self.conditions, log, shops, self.ledger.work.set)
        self.pool = Pool(self.ledger, runs, self.context, order, hiring, self.conditions)

    def context(self, job: Job, _: Task) -> dict[str, Any]:
        spec = job.spec
        return {"cwd": spec.cwd, "env": dict(os.environ), "timeout": spec.timeout_s, "grace": spec.grace_s, "nice": 0,
                "logs": f"{self.state}/logs/{job.id}", "results": f"{self.state}/results/{job.id}"}

    async def hand_out(self) -> None:
        while True:
            await self.ledger.work.wait()
            self.ledger.work.clear()
            for job in self.ledger.in_order():
                while job.ready(time.time()) and not self.pool.queue.full():
                    self.pool.queue.put_nowait(self.ledger.take(job, 1))
            while len(self.pool.slots) + len(self.pool.legacy.workers) < self.workers and self.pool.open_slot():
                pass

    async def tick(self) -> None:
        while True:
            self.pool.tick(self.workers)
            self.ledger.work.set()
            await asyncio.sleep(TICK_S)

    async def answer(self, ask: dict[str, Any]) -> Any:
        match ask["op"]:
            case "add":
                spec = msgspec.convert({"name": "job", "kind": "command", "command": ask["command"],
                                        "cwd": str(self.state.parent), "items": {"total": ask["total"]},
                                        **ask["more"]}, Spec)
                return (await self.ledger.accept(str(time.time()), "job", spec, b"", b"")).id
            case "tasks":
                return await self.tasks(ask["job"])
            case "need":
                return self.ledger.jobs[ask["job"]].memory_need
            case "wall":
                return self.ledger.view(ask["job"]).wall_s_mean  # type: ignore[union-attr]
            case "results":
                await self.ledger.settled()
                return [json.loads(row[3]) for row in await self.record.ask("results", ask["job"], -1, 1000, 1 << 20)]
            case "paused":
                return self.pool.orders.paused
            case "cancel":
                task = await self.ledger.cancel_task(self.ledger.jobs[ask["job"]], ask["number"])
                self.pool.orders.end(task)  # type: ignore[arg-type]
                return True
            case what:
                key = self.key(ask["job"], ask["number"])
                return getattr(self.pool.orders, what)(key, *ask.get("words", ()))

    def key(self, job: int, number: int) -> Key:
        return self.ledger.jobs[job].live[number].key

    async def tasks(self, job: int) -> list[dict[str, Any]]:
        await self.ledger.settled()
        stored: dict[int, Task] = await self.record.ask("numbered", job, 0, 1 << 30)
        live = self.ledger.jobs[job].live if job in self.ledger.jobs else {}
        return [msgspec.to_builtins(task) for _, task in sorted({**stored, **live}.items())]


def order(job: Job, task: Task) -> dict[str, Any]:
    start = launch(job.spec, job=job.id, number=task.number, span=(task.start, task.count), attempt=task.attempts,
                   script=None)
    return {"do": str(task.key), "argv": start.argv, "env": start.env}


async def serve(state: Path, workers: int) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    with Store(state / "queue.db") as record:
        keeper = Keeper(state, workers, record)
        live = keeper.ledger.load()
        async with asyncio.TaskGroup() as group:
            await keeper.pool.start(group, live, rebooted=False)
            loops = [group.create_task(keeper.hand_out()), group.create_task(keeper.tick())]
            while line := await reader.readline():
                print(json.dumps(await keeper.answer(json.loads(line))), flush=True)
            for loop in loops:
                loop.cancel()
            await keeper.pool.stop()
            await keeper.ledger.flush()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
