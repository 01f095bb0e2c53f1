"""What workers left behind: settles the tasks of a run folder whose worker no longer speaks to us.

That worker was another daemon's, or it was ours and ended. The folder's journal and lock are believed, nothing else;
the fence comes first, so that nothing which is given to others here can still be started there. A worker that lives
is watched until it ends; of one that was killed, the processes of its task are.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from gristmill.supervisor.core.conditions import Conditions, Kind
from gristmill.supervisor.core.journal import Key, Start
from gristmill.supervisor.core.stops import Stops
from gristmill.supervisor.core.task import EVICTED, Task
from gristmill.supervisor.edge import survivors
from gristmill.supervisor.edge.adopted import Adopted
from gristmill.supervisor.edge.runs import Runs
from gristmill.supervisor.edge.survivors import Survivors
from gristmill.supervisor.endings import Endings
from gristmill.supervisor.ledger import CANCELING, FORSAKEN, Ledger

log = logging.getLogger(__name__)

AGAIN_S = 1.0
"""Seconds until a folder is tried again that could not be settled: a full disk, say."""
FOLDER_GONE = "its run folder was removed by somebody; how it ended is not known"
EVICT_GRACE_S = 1.0
"""Seconds at most between TERM and KILL where memory is short; workers have the same figure."""


class Legacy:
    """Run folders without a voice, and those among them of whose task something still lives (by run)."""

    def __init__(
        self, ledger: Ledger, endings: Endings, runs: Runs, conditions: Conditions, stops: Stops,
        guard: Callable[[list[tuple[int, int]]], bool],
    ) -> None:
        """`guard` is told which processes somebody else is to let go on, should we die; whether somebody is there."""
        self._ledger, self._endings, self._runs, self._conditions = ledger, endings, runs, conditions
        self._stops, self._guard = stops, guard
        self.workers: dict[int, tuple[Adopted | Survivors, Task]] = {}

    def settle(self, run: int, tasks: dict[Key, Task], rebooted: bool) -> None:
        """Settles `tasks`, which were sent to the worker of `run`, by what its folder says."""
        if not self._runs.path(run).exists():
            for key, task in tasks.items():
                self._untold(run, key, task, rebooted)
            return
        try:
            self._runs.fence(run)
            fates, holder = self._runs.survey(run, tasks)
            for key, task in tasks.items():
                job = self._ledger.jobs[key.job]
                if key in fates.ended:
                    self._endings.exited(job, key.number, fates.ended[key])
                elif rebooted:
                    self._endings.interrupted(job, key.number, self._runs.save_log(run, key))
                elif key not in fates.running:
                    self._not_claimed(key, rebooted)
                elif holder is not None:
                    self._adopt(run, holder, task, fates.running[key], fates.stops)
                elif not self._watch(run, task, fates.running[key]):
                    self._endings.lost(job, key.number, self._runs.save_log(run, key))
        except OSError as error:  # no room even for the fence: what is not settled by now waits until there is
            self._conditions.set(
                Kind.RUNS, f"run folder {run} can't be settled yet: {error}", holds=False, for_s=3 * AGAIN_S
            )
            left = {key: task for key, task in tasks.items() if self._unsettled(run, key)}
            asyncio.get_running_loop().call_later(AGAIN_S, self.settle, run, left, rebooted)
            return
        if run not in self.workers:
            self._remove_when_written(run)

    def _not_claimed(self, key: Key, rebooted: bool) -> None:
        """Queues again what was sent and never claimed. After a reboot nobody can tell: claims are not forced to disk,
        since as long as the machine runs the kernel keeps them."""
        job = self._ledger.jobs[key.job]
        if rebooted:
            self._endings.interrupted(job, key.number, "")
        else:
            self._ledger.put_back(job, key.number)

    def _untold(self, run: int, key: Key, task: Task, rebooted: bool) -> None:
        """Settles a task whose run folder is gone: a power cut took it, or somebody removed it, as the task itself may.

        It was there before the task was sent, and goes once all that it says is recorded. So nobody can tell any more
        whether the task has begun, and to begin it again might be to run it twice.
        """
        job = self._ledger.jobs[key.job]
        if rebooted:
            self._endings.interrupted(job, key.number, "")
        elif not self._watch(run, task, Start(task.started_at or 0.0)):
            self._endings.lost(job, key.number, "", FOLDER_GONE)

    def _unsettled(self, run: int, key: Key) -> bool:
        live = self._ledger.jobs[key.job].live if key.job in self._ledger.jobs else {}
        return key.number in live and live[key.number].key == key and run not in self.workers

    def run_of(self, key: Key) -> int | None:
        """The run folder of the one that has this task in hand, None when none has."""
        return next((run for run, (_, task) in self.workers.items() if task.key == key), None)

    def end(self, task: Task) -> bool:
        """Asks for the end of a task if one of these has it in hand."""
        run = self.run_of(task.key)
        if run is not None:
            self._end(run)
        return run is not None

    def evict(self, run: int) -> None:
        """Asks for the end of the task of `run`, which the ledger has marked, and fast."""
        worker, task = self.workers[run]
        if isinstance(worker, Adopted):
            worker.evict()
        else:
            worker.end_task(min(self._ledger.jobs[task.job].spec.grace_s, EVICT_GRACE_S))

    def _end(self, run: int) -> None:
        worker, task = self.workers[run]
        if isinstance(worker, Adopted):
            worker.end_task()
        else:
            worker.end_task(self._ledger.jobs[task.job].spec.grace_s)

    def stop(self, run: int, reason: str) -> bool:
        """Stops the task of `run`, or keeps it stopped; to be repeated. False when it can't be."""
        worker, task = self.workers[run]
        stopped = worker.stop()
        if stopped and isinstance(worker, Survivors) and not self._watch_over():
            worker.go()  # nobody would let it go on, should we die
            stopped = False
        if stopped:
            self._stops.began(task.key, time.monotonic())
            self._ledger.paused(task.key, reason)
        return stopped

    def go(self, run: int) -> None:
        """Lets the task of `run` go on."""
        worker, task = self.workers[run]
        worker.go()
        self._stops.over(task.key, time.monotonic())
        self._ledger.resumed(task.key, FORSAKEN if isinstance(worker, Survivors) else "")
        if isinstance(worker, Survivors):
            self._watch_over()

    def _watch_over(self) -> bool:
        """Tells the guard which processes are stopped by us alone; a worker sees to its own."""
        alone = [worker for worker, _ in self.workers.values() if isinstance(worker, Survivors)]
        return self._guard([(pid, start) for worker in alone for pid, start in worker.frozen.items()])

    def close(self) -> None:
        """Stops watching; stopped tasks go on, the workers finish and write down how."""
        for worker, _ in self.workers.values():
            if isinstance(worker, Adopted):
                worker.go()
            worker.close()

    def _adopt(self, run: int, pid: int, task: Task, start: Start, stops: bool) -> None:
        """Watches a living worker until it ends; `stops` says whether it knows how to stop a task."""
        try:
            worker = Adopted(pid, lambda: self._ended(run), stops)
        except ProcessLookupError:
            self.settle(run, {task.key: task}, rebooted=False)  # it has just ended, and written down how
            return
        if self._runs.survey(run, ())[1] != pid:  # likewise, and its pid may be a stranger's by now
            worker.close()
            self.settle(run, {task.key: task}, rebooted=False)
            return
        log.info("adopted worker %s (pid %d) with task %d/%d", task.worker, pid, task.job, task.number)
        self._take_on(run, worker, task, start)

    def _watch(self, run: int, task: Task, start: Start) -> bool:
        """Watches what lives of a task whose worker was killed; False when nothing does."""
        wait = self._ledger.jobs[task.job].spec.leftovers == "wait"
        watched = Survivors(self._runs.mark(run), start.pid, start.ticks, lambda: self._ended(run), wait)
        if watched.first is None:
            watched.close()
            return False
        log.warning("the worker of task %d/%d was killed; the task goes on (pid %d), how it ends will not be known",
                    task.job, task.number, watched.pid)
        timeout = self._ledger.jobs[task.job].timeout_of(task)
        if timeout is not None:
            self._look_again(run, task, watched.first, timeout + start.stopped_s)
        self._take_on(run, watched, task, start._replace(pid=watched.pid, ticks=watched.first.start))
        self._ledger.forsaken(self._ledger.jobs[task.job], task.number)
        return True

    def _look_again(self, run: int, task: Task, first: survivors.Process, timeout: float) -> None:
        """Looks at its timeout, which the time that it was stopped does not count to, when that may be over."""
        left = max(0.0, timeout - survivors.age(first))
        asyncio.get_running_loop().call_later(left, self._overdue, run, task, first)

    def _overdue(self, run: int, task: Task, first: survivors.Process) -> None:
        if run in self.workers and self.workers[run][1].key == task.key:
            timeout = self._ledger.jobs[task.job].timeout_of(task) or 0.0
            stopped = self._stops.seconds(task.key, time.monotonic())
            if survivors.age(first) - stopped < timeout:
                pause = AGAIN_S if task.key in self._stops.wanted() else 0.0  # meanwhile nothing of it passes
                self._look_again(run, task, first, timeout + stopped + pause)
                return
            log.warning("task %d/%d has passed its timeout and is ended", task.job, task.number)
            self._end(run)

    def _take_on(self, run: int, worker: Adopted | Survivors, task: Task, start: Start) -> None:
        self.workers[run] = (worker, task)
        stopped = max(start.stopped_s, self._stops.seconds(task.key, time.monotonic()))
        self._stops.forget(task.key)  # whoever stopped it lets it go on, or is gone
        self._stops.add(task.key, stopped)
        process = survivors.read(start.pid) if start.pid else None
        same = process is not None and process.start == start.ticks
        began = time.time() - survivors.age(process) if process is not None and same else start.at
        self._ledger.running(task.job, task.number, start.shown or start.pid, began)
        if not self._ledger.jobs[task.job].alive or task.reason == CANCELING:
            self._end(run)
        elif task.reason == EVICTED:
            self.evict(run)

    def _ended(self, run: int) -> None:
        worker, task = self.workers.pop(run)
        worker.close()
        self.settle(run, {task.key: task}, rebooted=False)

    def _remove_when_written(self, run: int) -> None:
        """Removes a settled folder once all that it said is in the store; until then it is the only record."""
        written = self._ledger.flush()
        written.add_done_callback(lambda future: self._remove(future, run))

    def _remove(self, written: asyncio.Future[None], run: int) -> None:
        if written.cancelled() or written.exception():
            return
        try:
            if moved := self._runs.save_strays(run):
                self._ledger.relocate(moved).add_done_callback(lambda future: self._remove(future, run))
                return
            self._runs.remove(run)
        except FileNotFoundError:
            log.info("run folder %d was removed by somebody else", run)
        except OSError as error:
            log.warning("run folder %d can't be cleared yet: %s", run, error)
            asyncio.get_running_loop().call_later(AGAIN_S * 10, self._remove, written, run)
