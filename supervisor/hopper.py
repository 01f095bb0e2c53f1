"""Open jobs: their items come over the socket while they run, and what becomes of them goes back the same way.

Owns who sends the items of which job (its owner, a process) and what each owner has yet to hear (its mailbox). What an
item means is the owner's: here it is a number. An owner that ends closes its job; so does one that does not come back
to a new daemon within `GRACE_S`. Nothing is told before it is durable.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from gristmill.supervisor import beat
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.task import JOB_FINAL, TaskState, advance
from gristmill.supervisor.edge import parcels
from gristmill.supervisor.edge.owner import Owner
from gristmill.supervisor.edge.server import Connection
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.ledger import Ledger

GRACE_S = 30.0
"""Seconds that an open job waits for its owner: after it came, and after a new daemon began."""
LOOK_S = 10.0
"""Seconds between two looks for open jobs without an owner."""
LETTERS = 500
"""Ends told in one answer, at most."""
LETTER_BYTES = 1 << 19
"""Bytes of results in one answer, unless one result alone has more."""
WAIT_MOST_S = 60.0
MOST = 10**9
"""Items of an open job, at most."""
GONE = "the program that sent its items ended"

Operation: TypeAlias = Callable[[Connection, dict[str, Any]], Awaitable[Any]]


@dataclass(slots=True)
class Mailbox:
    """What one owner has yet to hear of its tasks, by number."""

    ends: list[int] = field(default_factory=list)
    starts: dict[int, None] = field(default_factory=dict)
    closed: bool = False
    """The job is over."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def started(self, number: int) -> None:
        self.starts[number] = None
        self._news.set()

    def ended(self, numbers: list[int]) -> None:
        self.ends += numbers
        for number in numbers:
            self.starts.pop(number, None)
        self._news.set()

    def over(self) -> None:
        self.closed = True
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Until there is something to tell, or the time is over."""
        if not (self.ends or self.starts or self.closed):
            self._news.clear()
            await beat.within(self._news, seconds)  # nothing to tell is an answer too


class Hopper:
    """The open jobs, their owners and their mailboxes."""

    def __init__(self, ledger: Ledger, record: Store, state: Path) -> None:
        self._ledger, self._store, self._state = ledger, record, state
        self._owners: dict[int, Owner] = {}
        self._mail: dict[int, Mailbox] = {}
        self._cleared: set[int] = set()
        self._alone: dict[int, float] = {}  # since when an open job has no owner, by the monotonic clock
        self.operations: dict[str, Operation] = {
            "attach": self._attach, "append": self._append, "withdraw": self._withdraw, "seal": self._seal,
            "ends": self._ends,
        }

    async def run(self) -> None:
        """Closes open jobs whose owners don't come, for as long as the daemon lives."""
        while True:
            self._ledger.opened.clear()
            now = time.monotonic()
            alone = {
                job.id: self._alone.get(job.id, now) for job in self._ledger.jobs.values()
                if job.spec.items.open and job.id not in self._owners
            }
            for number in [number for number, since in alone.items() if now - since > GRACE_S]:
                del alone[number]
                await self._leave(self._ledger.jobs[number])
            self._alone = alone
            found = await asyncio.to_thread(parcels.jobs, self._state)
            self._cleared.intersection_update(found)
            for number in found:
                if number not in self._ledger.jobs and number not in self._mail and number not in self._cleared:
                    await asyncio.to_thread(parcels.clear, self._state, number)
                    self._cleared.add(number)
            jobs = self._ledger.jobs.values()
            if self._mail or self._cleared != set(found) or any(job.spec.items.open for job in jobs):
                await asyncio.sleep(beat.pause(LOOK_S))
            else:
                await self._ledger.opened.wait()

    def close(self) -> None:
        """Lets all owners go; they come back to the next daemon."""
        for owner in self._owners.values():
            owner.close()
        for mailbox in self._mail.values():
            mailbox.over()

    # ── what owners ask ───────────────────────────────────────────────────────────────────────────────────────

    async def _attach(self, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        """The one who asks is the owner of a job from now on, and awaits the ends of some tasks: `[[first, end], …]`,
        each end left out."""
        number = _whole(request, "job")
        mailbox = Mailbox()
        self._ledger.opened.set()  # what an ended one has left is cleared once its program knows all
        job = self._ledger.jobs.get(number)
        if job is not None:
            self._own(job, connection.pid)
            self._ledger.listeners[number] = mailbox
        self._mail[number] = mailbox  # from here on, so that it goes with an owner that ends meanwhile
        await self._ledger.settled()
        for first, end in _ranges(request.get("awaits", [])):
            mailbox.ended(await self._store.ask("over", number, first, end))
        if number not in self._ledger.jobs:
            if await self._store.ask("job", str(number)) is None:
                self._mail.pop(number, None)
                raise RequestError(f"no job {number} – was the state folder removed?")
            mailbox.over()
        return {"total": 0 if job is None else job.spec.items.total}

    async def _append(self, _: Connection, request: dict[str, Any]) -> dict[str, int]:
        """Items `first`… come to a job; said twice it counts once."""
        first, count = _whole(request, "first"), _whole(request, "count")
        job = self._known(request)
        total = job.spec.items.total
        if first > total or first + count > MOST:
            raise RequestError(f"job {job.id} has {total} items: the next is item {total}, of {MOST} at most")
        if first + count > total:
            if not (job.spec.items.open and job.alive):
                raise RequestError(f"job {job.id} ({job.spec.name}) takes no more items: {job.reason or job.state}")
            await self._ledger.extend(job, first + count)
        return {"total": job.spec.items.total}

    async def _withdraw(self, _: Connection, request: dict[str, Any]) -> dict[str, list[int]]:
        """Cancels those of `numbers` that no worker was given yet; which they are."""
        job = self._known(request)
        numbers = request.get("numbers")
        if not isinstance(numbers, list) or not all(isinstance(number, int) for number in numbers):
            raise RequestError("numbers: a list of whole numbers")
        withdrawn = []
        for number in numbers:
            task = job.withdraw(number) if number not in job.live and job.alive else None
            if task is not None:
                now = self._ledger.clock()
                self._ledger.end(job, advance(task, TaskState.CANCELED, reason="canceled by its program", ended_at=now))
                withdrawn.append(number)
        await self._ledger.flush()
        return {"withdrawn": withdrawn}

    async def _seal(self, _: Connection, request: dict[str, Any]) -> dict[str, Any]:
        """No more items come."""
        job = self._ledger.jobs.get(_whole(request, "job"))
        if job is not None:
            await self._ledger.seal(job)
        return {}

    async def _ends(self, _: Connection, request: dict[str, Any]) -> dict[str, Any]:
        """What there is to tell, waited for up to `timeout` seconds: tasks that ended, each with its state, reason,
        log and result; tasks that started; and the job's own end, after all else."""
        number = _whole(request, "job")
        mailbox = self._mail.get(number)
        if mailbox is None:
            raise RequestError(f"job {number} is not attached – say `attach` first")
        await mailbox.wait(min(WAIT_MOST_S, max(0.0, float(request.get("timeout", 1.0)))))
        batch, mailbox.ends = mailbox.ends[:LETTERS], mailbox.ends[LETTERS:]
        starts, mailbox.starts = list(mailbox.starts), {}
        ended: list[tuple[Any, ...]] = []
        size = 0
        fates = await self._store.ask("fates", number, batch) if batch else []
        for at, (task, state, reason, log, result) in enumerate(fates):
            size += len(result or b"")
            if ended and size > LETTER_BYTES:
                mailbox.ended([fate[0] for fate in fates[at:]])
                break
            ended.append((task, state, reason, log, None if result is None else msgspec.Raw(result)))
        over = None
        if mailbox.closed and not mailbox.ends:
            over = await self._verdict(number)
        return {"ended": ended, "started": starts, "over": over}

    async def _verdict(self, number: int) -> dict[str, str] | None:
        """The job's own end; nothing more is told of it then. None where only the daemon ends."""
        job: Job | None = await self._store.ask("job", str(number))
        if job is None or job.state not in JOB_FINAL or job.ended_at is None:
            return None
        self._forget(number)
        return {"state": job.state.value, "reason": job.reason}

    # ── owners ────────────────────────────────────────────────────────────────────────────────────────────────

    def _known(self, request: dict[str, Any]) -> Job:
        number = _whole(request, "job")
        if number not in self._ledger.jobs:
            raise RequestError(f"job {number} has ended: it takes no more items")
        return self._ledger.jobs[number]

    def _own(self, job: Job, pid: int) -> None:
        self._forget(job.id)
        cancel = job.spec.items.open == "cancel"
        try:
            self._owners[job.id] = Owner(pid, lambda: self._ended(job.id, cancel))
        except ProcessLookupError as error:
            why = "is one of the two in a container?"
            raise RequestError(f"process {pid} can't be watched by the daemon ({error}): {why}") from error

    def _ended(self, number: int, cancel: bool) -> None:
        """An owner has ended."""
        self._forget(number)
        job = self._ledger.jobs.get(number)
        if job is not None:
            self._ledger.seal(job, GONE if cancel else "")

    async def _leave(self, job: Job) -> None:
        """Nobody sends items to a job any more."""
        await self._ledger.seal(job, GONE if job.spec.items.open == "cancel" else "")

    def _forget(self, number: int) -> None:
        self._ledger.listeners.pop(number, None)
        self._mail.pop(number, None)
        if (owner := self._owners.pop(number, None)) is not None:
            owner.close()


def _whole(request: dict[str, Any], key: str) -> int:
    value = request.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise RequestError(f"{key}: a whole number")
    return value


def _ranges(awaits: Any) -> list[tuple[int, int]]:
    try:
        return [(int(first), int(end)) for first, end in awaits]
    except (TypeError, ValueError) as error:
        raise RequestError("awaits: a list of [first, end]") from error
