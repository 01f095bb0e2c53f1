"""Pages of a job's tasks, as they are asked for: from the store, from memory where they live, and from the job's rule
where none was handed out yet.

Reads alone. Where ranges are chosen on the way, records come by number, then what was just handed out, then each gap
that is left, as one task.
"""

from __future__ import annotations

from gristmill.supervisor.core import items
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.task import TASK_LIVE, Task, TaskState, advance
from gristmill.supervisor.edge.store import Store


class Pages:
    """Finds tasks."""

    def __init__(self, record: Store) -> None:
        self._store = record

    async def page(self, job: Job, offset: int, most: int) -> tuple[list[Task], int]:
        """Tasks `offset`…, and how many there are."""
        if job.guided is not None:
            return await self._chosen(job, offset, most)
        last = min(job.tasks, offset + most)
        stored = await self._store.ask("numbered", job.id, offset, last)
        return [job.live.get(number) or stored.get(number) or _by_rule(job, number)
                for number in range(offset, last)], job.tasks  # fmt: skip

    async def page_of(self, job: Job, state: str, offset: int, most: int) -> tuple[list[Task], int]:
        """The same of the tasks in one state: live, recorded, and never handed out."""
        live = [task for _, task in sorted(job.live.items()) if task.state == state]
        stored = 0 if state in TASK_LIVE else await self._store.ask("count", job.id, state)
        rows = live[offset : offset + most]
        if stored and len(rows) < most:
            rows += await self._store.ask("tasks", job.id, [state], max(0, offset - len(live)), most - len(rows))
        known = len(live) + stored
        finish = job.unbegun_finish()
        last = [finish] if finish is not None and finish.state == state else []
        if state == job.unstarted:
            rows += job.promised(max(0, offset - known), most - len(rows))
            known += job.handout.promises
        rows += last[max(0, offset - known) :][: most - len(rows)]
        return rows, known + len(last)

    async def find(self, job: Job, number: int) -> Task:
        """One task by its number; RequestError where it has no record of its own."""
        if job.guided is None:
            rows, total = await self.page(job, number, 1)
            if not rows:
                raise RequestError(f"no task {job.id}/{number} – the job has {total} tasks, from 0 on")
            return rows[0]
        stored = await self._store.ask("numbered", job.id, number, number + 1)
        if task := job.live.get(number) or stored.get(number):
            return task
        raise RequestError(
            f"task {job.id}/{number} has no record of its own: its items ended well and it wrote nothing, or it failed "
            f"and was tried again in halves – `grist status {job.id}` lists what there is"
        )

    async def place(self, job: Job, number: int) -> int:
        """How many tasks come before the one of this number."""
        if job.guided is None:
            return number
        before: int = await self._store.ask("count_before", job.id, number)
        return before

    async def _chosen(self, job: Job, offset: int, most: int) -> tuple[list[Task], int]:
        assert job.guided is not None
        stored = await self._store.ask("count", job.id, None)
        found = await self._store.ask("tasks", job.id, [], offset, most)
        rows = [job.live.get(task.number, task) for task in found]
        fresh = [job.live[number] for number in sorted(job.guided.unrecorded) if number in job.live]
        first = max(0, offset - stored)
        rows += fresh[first : first + most - len(rows)]
        known = stored + len(fresh)
        rows += job.promised(max(0, offset - known), most - len(rows))
        known += job.handout.promises
        last = [finish] if (finish := job.unbegun_finish()) is not None else []
        rows += last[max(0, offset - known) :][: most - len(rows)]
        return rows, known + len(last)


def _by_rule(job: Job, number: int) -> Task:
    """A task that was never handed out, as the job's rule says it would be."""
    if number == job.handout.numbers and (finish := job.unbegun_finish()) is not None:
        return finish
    start, count = items.span(job.spec.items, number)
    task = Task(job=job.id, number=number, start=start, count=count)
    return task if job.unstarted is TaskState.QUEUED else advance(task, job.unstarted)
