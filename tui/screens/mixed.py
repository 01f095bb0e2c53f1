"""The logs of several tasks in one, mixed as they come, each line with the name of its task."""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.supervisor.core.errors import GristError
from gristmill.tui.present import Mill, name_task
from gristmill.tui.screens.log import LogScreen, Source

MOST = 64
"""Logs that are mixed at most."""


def sources(mill: Mill | None, ids: Sequence[str]) -> tuple[Source, ...]:
    """The tasks among these ids, and all that run of the jobs among them."""
    if mill is None:
        return ()
    tasks = {one: one for one in ids if "/" in one}
    tasks |= {worker.task: worker.task for worker in mill.workers if worker.task and str(worker.job) in ids}
    jobs = {task: mill.jobs.get(int(task.partition("/")[0])) for task in tasks}
    return tuple(Source(task, name_task(task, job.name if job else None)) for task, job in jobs.items())[:MOST]


class MixedScreen(LogScreen):
    """The logs of several tasks in one, each line with the name of its task."""

    def __init__(self, sources: tuple[Source, ...]) -> None:
        super().__init__(sources[0].task, f"{len(sources)} tasks")
        self._mix(sources)

    async def _look_up(self) -> None:
        paths: list[str | None] = []
        live = False
        for source in self.sources:
            try:
                data = await self.ask("log", task=source.task)
            except GristError:
                paths.append(None)  # a task that is gone has no say; the others have
            else:
                paths.append(data["path"])
                live = live or bool(data["live"])
        self.live, self.state = live, ""
        self._point(*paths)
        if self.home().log_file is None:
            self.home().open(None, "nothing written yet")
        self._title()

    def action_earlier(self) -> None:
        """Of several tasks the last attempts are mixed."""
        self.say("of several tasks only the last attempts are shown", "warn")

    def action_stream(self) -> None:
        """Of several tasks the output alone is mixed."""
        self.say("of several tasks only the output is shown", "warn")
