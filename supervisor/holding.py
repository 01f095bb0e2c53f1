"""What we have at one engine: the chunks that are open there, by what is known of them, and how one is closed.

Owns that account, whether the engine answers, and the thread in which the shared folder is read and written. What is
handed over is `handover`'s, what comes back `homecoming`'s, when the engine is asked `outpost`'s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gristmill.supervisor.core import remote
from gristmill.supervisor.core.conditions import Conditions, Kind
from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.remote import Glimpse, Missing
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.edge.chunks import Chunks
from gristmill.supervisor.endings import Endings
from gristmill.supervisor.executors import Executor
from gristmill.supervisor.ledger import Ledger

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Open:
    """A chunk that the engine has, and its tasks that have no record yet, by index. `engine_id` "" : nobody knows yet
    whether the engine took it."""

    name: str
    job: int
    slots: int
    pack: int
    tasks: dict[int, Key]
    missing: Missing
    ghosts: Missing
    """Slots that the engine takes to run, though all of their tasks have records."""
    engine_id: str = ""
    most: int | None = None
    looked_at: float = 0.0
    known: set[str] = field(default_factory=set)
    claimed: set[int] = field(default_factory=set)
    running: set[int] = field(default_factory=set)
    waits: tuple[str, int] = ("", -1)
    glimpse: Glimpse | None = None
    withdrawn: bool = False
    """Whether what has not begun of it was taken back, since its job has failed."""

    @property
    def slots_left(self) -> int:
        """How many of its slots are not over."""
        return len(self.tasks) if self.pack == 1 else len({index // self.pack for index in self.tasks})


class Holding:
    """The account."""

    def __init__(
        self, executor: Executor, ledger: Ledger, chunks: Chunks, conditions: Conditions,
        settings: Callable[[], Settings], tag: str,
    ) -> None:  # fmt: skip
        """`tag` names this daemon among others of the same user."""
        self.executor, self.ledger, self.chunks, self.conditions = executor, ledger, chunks, conditions
        self.settings, self._tag = settings, tag
        self.endings = Endings(ledger)
        self.open: dict[str, Open] = {}
        self.leaving: dict[str, tuple[str, float]] = {}
        """Chunks that are over for us, until the engine has let them go as well: its id of them, and since when."""
        self.wake = asyncio.Event()
        self.silence = ""
        """Why nothing is heard of the engine, "" while it answers."""
        self.poll_at = 0.0
        """When it is asked again, by the steady clock."""
        self._failures = 0
        self._thread = ThreadPoolExecutor(1, executor.name)

    @property
    def condition(self) -> str:
        """What is wrong with this engine is called so; another may be silent at the same time."""
        return f"{Kind.ENGINE} {self.executor.name}"

    @property
    def ready(self) -> bool:
        """Whether it may be asked now."""
        return time.monotonic() >= self.poll_at

    async def in_thread(self, what: Callable[..., T], *arguments: Any) -> T:
        """Does what touches the shared folder, one at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, what, *arguments)

    async def close(self) -> None:
        """Lets go; what runs elsewhere goes on, and the next daemon finds it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self.executor.close()

    def heard(self) -> None:
        """The engine has answered."""
        self._failures, self.poll_at = 0, time.monotonic() + self.executor.rest_s
        if self.silence:
            self.silence = ""
            self.conditions.clear(self.condition)

    def unheard(self, why: str) -> None:
        """It has not: nothing changes, and it is asked again later, more seldom each time."""
        self._failures += 1
        self.silence = why
        self.poll_at = time.monotonic() + remote.pause(self._failures, self.executor.rest_s)
        self.conditions.set(self.condition, why, holds=False)

    def label(self, name: str) -> str:
        """What the engine is to call a chunk."""
        return f"grist-{self._tag}-{name}"

    @property
    def grace_s(self) -> float:
        """For so long a task must be nowhere before it is lost."""
        return max(self.executor.grace_s, self.settings().lost_after)

    def missing(self) -> Missing:
        """An account of what can't be found."""
        return Missing(self.grace_s)

    def put_back(self, keys: Iterable[Key], reason: str, delay_s: float = 0.0) -> None:
        """Queues attempts again that no node has begun."""
        for key in keys:
            job = self.ledger.jobs.get(key.job)
            if job is not None and key.number in job.live and job.live[key.number].key == key:
                self.ledger.put_back(job, key.number, reason, delay_s)

    async def give_up(self, one: Open) -> None:
        """The engine never got this chunk: what no node has claimed is handed over anew, in another."""
        won = await self.in_thread(self.chunks.take_back, one.name, list(one.tasks))
        self.put_back([one.tasks.pop(index) for index in won], "")
        self.close_if_over(one)

    def close_if_over(self, one: Open) -> None:
        """A chunk without tasks that have no record is cleared away, once all that it said is in the store."""
        if one.tasks or self.open.pop(one.name, None) is None:
            return
        if one.engine_id and one.glimpse is not None:
            self.leaving[one.name] = one.engine_id, time.monotonic()
        self.wake.set()
        self.ledger.flush().add_done_callback(lambda written: self._clear(one.name, written))

    def _clear(self, name: str, written: asyncio.Future[None]) -> None:
        if not (written.cancelled() or written.exception()):
            try:
                self._thread.submit(self.chunks.tidy, name)
            except RuntimeError:
                pass  # the daemon is on its way out: the next one does it
