"""The interface to an engine that runs tasks elsewhere: a batch system, a cluster of somebody else's.

We are no cluster manager: an engine finds the nodes, and keeps what waits for them. The daemon keeps everything else:
which task is next, retries, dependencies, results, logs and the record. What an implementer must know:

*A chunk* is what is handed over at once: up to thousands of tasks of one job, with equal needs, in a folder that the
daemon and all nodes see (`edge.chunks`). It has `slots`, numbered from 0; what the engine starts for a slot is
`sh FOLDER/slot SLOT`, as often as it likes, anywhere: that runs `executors/node.py`, which runs `pack` tasks one after
another, keeps their timeouts, and writes their records. It exits 0 whatever became of the tasks.

*The fate of a task is its record* in that folder, never what an engine remembers of it. So `poll` is asked for no exit
codes. A task is begun by a claim (`link(2)`, one wins), which node and daemon both try: what the daemon has claimed
starts nowhere any more, however late an engine comes with it; what a node has claimed is started by no second one,
though the engine may requeue it. A chunk is submitted once: where nobody knows whether it was taken (`SilentError`, a
daemon that was killed) `adopt` is asked, and what the engine does not know by then is claimed by the daemon and
handed over in another chunk. So a chunk that arrives late runs nothing.

*Silence is no news.* Whatever keeps an engine from answering (a controller that restarts, no network, an expired
ticket) raises `SilentError`, and nothing changes. A limit of the engine's (so many jobs a user, a full queue, a
partition that is down) raises `BusyError`: the chunk goes back, and comes again later. Only what is never taken (no
such partition, more memory than any node has) raises `RefusedError`, which fails the tasks with those words.

*Lost* is a task that `poll` does not name, that has no record, for `Executor.grace_s` seconds on end in which the
engine did answer. Then `explain` is asked what the engine knows of its end, and the job's `retry` says whether it is
tried again. A slot that was canceled before it began simply is not named any more; the daemon knows that it asked.

*Nothing is kept in memory alone*: the engine's own id of a chunk is written into its folder, and a daemon that was
killed before that finds it by `adopt`. So whatever an engine shows of a chunk must hold `Chunk.label`.

*Time*: a node's clock may be off by minutes. No decision compares its times with ours.

All methods are coroutines of the daemon's only thread: they await subprocesses or sockets, and block nowhere. One call
is made at a time, and `poll` not more often than every `rest_s` seconds. Files are read and written by `edge.chunks`,
in a thread; an executor opens none of the chunk's.

**The local pool** (`pool`) is the engine of `where = "local"`, and is not behind this interface: its tasks start within
a millisecond because it keeps what a batch system does not offer: one socket a worker, tasks sent ahead of a commit and
taken back, SIGSTOP and eviction when memory runs short, a limit found by the governor, a journal that outlives a kill.
What it shares with the engines is everything on the other side: jobs hand out tasks by the same `Job.take`, attempts
end through the same `Endings`, and store, API and screens tell them apart by `Task.place` alone, which is "" there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.remote import Ended, Glimpse, Need
from gristmill.supervisor.core.spec import Spec


class SilentError(GristError):
    """An engine did not answer."""


class BusyError(GristError):
    """An engine takes no more for now."""


class RefusedError(GristError):
    """An engine will never take this."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tasks of one job that are handed over together. Slot s runs the tasks s·pack … s·pack + pack - 1 of the chunk."""

    name: str
    """`JOB.SERIAL`, never used twice by one daemon."""
    label: str
    """What it is to be called in the engine: names our daemon and the chunk; letters, digits, dots and dashes only."""
    folder: Path
    """Absolute; seen by all nodes. Holds `slot`, the script to be started with the number of a slot."""
    slots: int
    need: Need
    """Of each slot."""
    spec: Spec
    """Its job, for what is the engine's own, such as `spec.batch`; paths in it are those that nodes see."""
    pack: int = 1
    most: int | None = None
    """So many slots may run at once."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What an engine has, as far as it tells: for people, and for how much is handed over. None: not known."""

    nodes: int | None = None
    cpus: int | None = None
    cpus_idle: int | None = None
    slots_most: int = 1000
    """A chunk has no more slots than that."""
    queue_most: int | None = None
    """So many slots may be in the engine's queue at once."""
    words: str = ""
    """In one line, such as `2 nodes, 4 cores, 1 idle; partitions main, long`."""
    notes: tuple[str, ...] = field(default=())
    """What is worth knowing and not good, such as a partition that is down."""


class Executor(Protocol):
    """An engine."""

    name: str
    """As `where` in a job file has it, and `Task.place` begins."""
    rest_s: float
    """Seconds between two polls, at least."""
    grace_s: float
    """For so long a task must be in neither queue nor records before it is lost."""
    start_s: float
    """What starting a slot costs, in seconds: ranges and packs are made so long that a tenth goes into starts."""

    async def capacity(self) -> Capacity:
        """What there is; raises `SilentError`. Asked before tasks are handed over, once a minute."""

    async def submit(self, chunk: Chunk) -> str:
        """Hands a chunk over, in one call; returns the engine's own id of it. Raises `SilentError` where nobody knows
        whether it was taken, `BusyError` and `RefusedError` where it was not."""

    async def poll(self, chunks: Mapping[str, str]) -> dict[str, Glimpse]:
        """What the engine says of the slots of all these chunks (name to engine's id), in one call to it. A chunk of
        which it knows nothing (any more) is left out. Raises `SilentError`."""

    async def cancel(self, engine_id: str, slots: Collection[int] | None) -> bool:
        """Has these slots ended with all their processes, running or not; None: all of the chunk. Asked again until
        they are gone, so a second time is no fault. False where the engine can't do that for single slots: then the
        mark that lies in the folder by now does it, which nodes look for every few seconds. Raises `SilentError`."""

    async def adopt(self, labels: Collection[str]) -> dict[str, str]:
        """The engine's ids of those of these labels that it knows. Raises `SilentError`."""

    async def explain(self, engine_id: str, slots: Collection[int]) -> dict[int, Ended]:
        """What the engine knows of the ends of these slots, which it does not run any more; those of which it knows
        nothing are left out. Never raises: what can't be learned is not said."""

    def called(self, engine_id: str, slot: int) -> str:
        """What the engine calls a slot, for people: `4711_3`."""

    async def close(self) -> None:
        """Lets go of what is open; what runs goes on."""
