"""What workers left behind: settles the tasks of a run folder whose worker no longer speaks to us.

That worker was another daemon's, or it was ours and ended. The folder's journal and lock are believed, nothing else;
the fence comes first, so that nothing which is given to others here can still be started there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gristmill.supervisor.core.journal import Key, Start
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.edge.runs import Runs
from gristmill.supervisor.edge.spawner import Adopted
from gristmill.supervisor.ledger import CANCELING, Ledger

log = logging.getLogger(__name__)

AGAIN_S = 1.0
"""Seconds until a folder is tried again that could not be fenced: a full disk, say."""


class Legacy:
    """Run folders without a voice, and the workers among them that still have a task in hand (by run)."""

    def __init__(self, ledger: Ledger, runs: Runs, refuse: Callable[[str], None]) -> None:
        self._ledger, self._runs, self._refuse = ledger, runs, refuse
        self.workers: dict[int, tuple[Adopted, Task]] = {}

    def settle(self, run: int, tasks: dict[Key, Task], rebooted: bool) -> None:
        """Settles `tasks`, which were sent to the worker of `run`, by what its folder says."""
        if not self._runs.path(run).exists():
            for key in tasks:
                self._ledger.put_back(self._ledger.jobs[key.job], key.number)
            return
        try:
            self._runs.fence(run)
            fates, holder = self._runs.survey(run)
        except OSError as error:  # no room even for the fence: nothing is settled until there is
            self._refuse(f"run folder {run} can't be settled yet: {error}")
            asyncio.get_running_loop().call_later(AGAIN_S, self.settle, run, tasks, rebooted)
            return
        for key, task in tasks.items():
            job = self._ledger.jobs[key.job]
            if key in fates.ended:
                self._ledger.exited(job, key.number, fates.ended[key])
            elif key not in fates.running:
                self._ledger.put_back(job, key.number)  # sent, never claimed
            elif rebooted:
                self._ledger.interrupted(job, key.number)
            elif holder is None:
                self._ledger.lost(job, key.number)
            else:
                self._adopt(run, holder, task, fates.running[key])
        if run not in self.workers:
            written = self._ledger.flush()  # the folder is the only record until this is durable
            written.add_done_callback(lambda future: self._remove(future, run))

    def end(self, task: Task) -> bool:
        """Asks for the end of a task if one of these workers has it in hand."""
        for worker, mine in self.workers.values():
            if mine.key == task.key:
                worker.end_task()
                return True
        return False

    def close(self) -> None:
        """Stops watching; the workers finish and write down how."""
        for worker, _ in self.workers.values():
            worker.close()

    def _adopt(self, run: int, pid: int, task: Task, start: Start) -> None:
        """Watches a living worker until it ends."""
        try:
            worker = Adopted(pid, lambda: self._ended(run))
        except ProcessLookupError:
            self.settle(run, {task.key: task}, rebooted=False)  # it has just ended, and written down how
            return
        if self._runs.survey(run)[1] != pid:  # likewise, and its pid may be a stranger's by now
            worker.close()
            self.settle(run, {task.key: task}, rebooted=False)
            return
        self.workers[run] = (worker, task)
        self._ledger.running(task.job, task.number, start.pid, start.at)
        log.info("adopted worker %s (pid %d) with task %d/%d", task.worker, pid, task.job, task.number)
        if not self._ledger.jobs[task.job].open or task.reason == CANCELING:
            worker.end_task()

    def _ended(self, run: int) -> None:
        _, task = self.workers.pop(run)
        self.settle(run, {task.key: task}, rebooted=False)

    def _remove(self, written: asyncio.Future[None], run: int) -> None:
        if written.cancelled() or written.exception():
            return
        try:
            self._runs.remove(run)
        except FileNotFoundError:
            log.info("run folder %d was removed by somebody else", run)
