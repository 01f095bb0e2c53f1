"""What runs beyond this machine: which jobs give tasks to which engine, and how many.

Owns the outposts, one an engine, and the question of `where = "auto"`: what is not done here in a set time goes beyond.
How tasks get there and back is `outpost`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from gristmill.supervisor.core import remote
from gristmill.supervisor.core.conditions import Conditions
from gristmill.supervisor.core.job import HERE, Job
from gristmill.supervisor.core.protocol import EngineView
from gristmill.supervisor.core.remote import Place
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.edge.chunks import Chunks
from gristmill.supervisor.executors import Executor
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.outpost import Outpost

RANGES_FIRST = 4
PROGRAMS = [Path(__file__).parent / "executors" / name for name in (
    "node_ground.py", "node_task.py", "node_call.py", "node_maker.py", "node.py", "raydriver.py",
)]  # fmt: skip
"""What runs on nodes; each file is there before the one that needs it."""


class Beyond:
    """All engines."""

    def __init__(
        self, executors: Iterable[Executor], ledger: Ledger, conditions: Conditions,
        settings: Callable[[], Settings], environ: Mapping[str, str], folder: Path, tag: str,
    ) -> None:  # fmt: skip
        """`folder` is the one in the jobs folder; the settings may name another. `tag` names this daemon among others
        that share it."""
        self._ledger, self._settings = ledger, settings
        self.chunks = Chunks((Path(settings().shared).expanduser() if settings().shared else folder) / tag, PROGRAMS)
        self.outposts: dict[str, Outpost] = {}
        for executor in executors:
            made = Outpost(executor, ledger, self.chunks, conditions, settings, environ, tag)
            made.wanted = lambda name=executor.name: self._wanted(name)  # type: ignore[misc]  # mypy reads no defaults
            self.outposts[executor.name] = made
        self.workers: Callable[[], float] = lambda: 0.0
        """How many workers there are here in the mean."""
        self.usual_s: Callable[[str], float | None] = lambda _: None
        """How long a task of a kind takes, where that is known."""

    async def run(self) -> None:
        """Wakes the outposts whenever something has changed, for as long as the daemon lives."""
        while True:
            await self._ledger.errands.wait()
            self._ledger.errands.clear()
            for outpost in self.outposts.values():
                outpost.wake.set()

    def resume(self, tasks: Iterable[Task]) -> list[Task]:
        """Takes on those of the live tasks that an earlier daemon had handed over to an engine; returns the others."""
        here = []
        for task in tasks:
            if not task.place:
                here.append(task)
            elif (outpost := self.outposts.get(Place.parse(task.place).engine)) is not None:
                outpost.resume([task])
        return here

    async def close(self) -> None:
        """Lets go; what runs elsewhere goes on."""
        for outpost in self.outposts.values():
            await outpost.close()

    def end(self, task: Task) -> None:
        """Asks for the end of a task that an engine has."""
        outpost = self.outposts.get(Place.parse(task.place).engine)
        if outpost is not None:
            outpost.end(task)

    def log(self, task: Task, kind: str = "log") -> Path:
        """Where what an attempt writes elsewhere lies."""
        return self.chunks.log(Place.parse(task.place).chunk, task.key, kind)

    # ── who goes where ────────────────────────────────────────────────────────────────────────────────────────

    def _wanted(self, engine: str) -> list[tuple[Job, int]]:
        """The jobs with tasks for an engine now, and how many of each; what they wait for is said of those that run
        nowhere else."""
        now, found = self._ledger.clock(), []
        for job in self._ledger.in_order():
            if job.where == engine or (job.where == "auto" and self._settings().beyond == engine):
                if job.where not in HERE:
                    job.waits = self._waits(engine)
                count = self._count(job) if job.ready_elsewhere(now) else 0
                if count:
                    found.append((job, count))
        return found

    def _count(self, job: Job) -> int:
        waiting = job.handout.left(job.demand()) + len(job.again)
        if job.where != "auto":
            return waiting if job.guided is None else min(waiting, max(0, self._ranges(job) - len(job.live)))
        if job.spec.limits.workers is not None or job.spec.resources.counters:
            return 0  # more machines would not help
        wall_s = job.footprint.wall_s if job.footprint.ends else self.usual_s(job.kind)
        return remote.overflow(waiting, wall_s, self.workers(), self._settings().beyond_after)

    def _ranges(self, job: Job) -> int:
        """How many ranges of a job may be in an engine at once: a few until it is known how long they are to be, then
        two for each core, so that the last ones are not all handed out while they are still long."""
        capacity = self.outposts[job.where].over.capacity
        cpus = (capacity.cpus if capacity is not None else None) or RANGES_FIRST
        return 2 * cpus if job.footprint.pace.unit else RANGES_FIRST

    def _waits(self, engine: str) -> str:
        outpost = self.outposts[engine]
        return outpost.silence or outpost.over.busy

    # ── for the screens ───────────────────────────────────────────────────────────────────────────────────────

    def views(self) -> list[EngineView]:
        """The engines that have something of ours, or had since the daemon began."""
        return [
            EngineView(
                name=name, state="silent" if one.silence else "busy" if one.over.busy else "ok",
                reason=one.silence or one.over.busy, words=one.over.capacity.words, nodes=one.over.capacity.nodes,
                cpus=one.over.capacity.cpus, cpus_idle=one.over.capacity.cpus_idle, notes=list(one.over.capacity.notes),
                running=sum(len(chunk.running & chunk.tasks.keys()) for chunk in one.open.values()),
                queued=sum(len(chunk.tasks.keys() - chunk.running) for chunk in one.open.values()),
            )
            for name, one in self.outposts.items() if one.over.capacity is not None
        ]  # fmt: skip
