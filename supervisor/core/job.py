"""The daemon's running account of one job: which tasks were handed out, which live, what came of the rest.

Owns the counters and the order of a job's tasks. It never touches the store; whoever changes an account writes the
change down (see `ledger`).
"""

from __future__ import annotations

import heapq
from dataclasses import InitVar, dataclass, field

import msgspec

from gristmill.supervisor.core import ahead, launch
from gristmill.supervisor.core.footprint import Footprint, Used
from gristmill.supervisor.core.guided import Guided
from gristmill.supervisor.core.handout import Demand, Fixed, Handout, Recorded
from gristmill.supervisor.core.spec import Gate, Items, Spec
from gristmill.supervisor.core.task import JOB_FINAL, TASK_FINAL, JobState, Task, TaskState, advance, move_job, note

NOT_LOOKED_AT = "whether it may begin is looked at"
HERE = ("local", "auto")
"""Where a job says that its tasks run on this machine, or may."""


@dataclass(slots=True)
class Job:
    """One job that is in the daemon's memory.

    `handout` makes tasks of its items, from the stored `cursor` on; `live` are those that were handed out and have not
    ended, `again` is a heap of queued tasks that have a record already.
    """

    id: int
    spec: Spec
    file: str
    submitted_at: float
    claim: str = ""
    state: JobState = JobState.QUEUED
    reason: str = ""
    cursor: InitVar[int] = 0
    tasks_ended: int = 0
    items_done: int = 0
    items_failed: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    footprint: Footprint = field(default_factory=Footprint)
    live: dict[int, Task] = field(default_factory=dict)
    again: list[tuple[float, int, Task]] = field(default_factory=list)
    lined_up: set[int] = field(default_factory=set)
    """Those of `live` that stand behind another one in its worker: they keep nobody busy as yet."""
    elsewhere: set[int] = field(default_factory=set)
    """Those of `live` that an engine beyond this machine has: they keep no worker of ours busy."""
    handout: Handout = field(init=False)
    guided: Guided | None = field(init=False)
    """The same, where that chooses the ranges."""
    finish: Task | None = None
    """Its [finally] step, once that was handed out, as it was then or as it ended."""
    gathered: bool = False
    """Whether its results lie ready for that step."""
    rounds: int = 0
    """How often that step was begun anew."""
    workers: int = 1
    """How many workers shared what is left when it last handed out a task."""
    served_at: float = 0.0
    """When it last handed out a task; of jobs with equal shares the one served longest ago has its turn."""
    raised_at: float = 0.0
    """When the memory that its tasks are taken to need was last raised."""
    kind: str = ""
    """What tasks of this name and command are called, in this job and any other."""
    gate: str = ""
    """Why it may not begin tasks as yet, whatever room there is (see `gate`); shown, never stored."""
    start_at: float | None = None
    """When it may begin at the earliest, where its file says so."""
    waits: str = ""
    """Why nothing of it is started now; shown, never stored."""
    passed_at: float | None = None
    """Since when others have been started before it, which has nothing running and lacks room."""
    behind: Job | None = None
    """The job for which room is kept now that this one could have."""
    cold: bool = False
    """Whether the interpreter that its calls are made in is not there yet."""
    warmth: str = ""
    """What is to be said of that interpreter; shown, never stored."""

    def __post_init__(self, cursor: int) -> None:
        self.kind = self.kind or launch.kind(self.spec)
        self.gate = NOT_LOOKED_AT if self.spec.gate != Gate() else ""
        rule = self.spec.items
        self.guided = Guided(rule, cursor) if rule.per_task is None else None
        self.handout = self.guided or Fixed(rule, cursor)

    @property
    def tasks(self) -> int:
        """How many tasks it has in all; where ranges are chosen on the way, about, until it has ended."""
        if self.guided is None:
            return self.handout.numbers + (self.spec.finish is not None)
        return self.tasks_ended + len(self.live) + self.waiting

    @property
    def waiting(self) -> int:
        """How many of its tasks have no worker yet."""
        unfinished = self.spec.finish is not None and self.finish is None
        return len(self.again) + self.handout.left(self.demand()) + unfinished

    @property
    def hands(self) -> int:
        """How many of its tasks a worker of ours has in hand, or will have without waiting for another of them."""
        return len(self.live) - len(self.lined_up) - len(self.elsewhere)

    @property
    def running(self) -> int:
        """How many of its tasks run, here or elsewhere; what waits in an engine's queue does not."""
        return self.hands + sum(1 for number in self.elsewhere if self.live[number].state is TaskState.RUNNING)

    @property
    def where(self) -> str:
        """Where its tasks run: `local`, an engine, or `auto`."""
        return self.spec.where or "local"

    @property
    def expected_s(self) -> float:
        """Seconds that its next task is expected to take, 0 where that is not known."""
        return self.handout.expected_s or self.footprint.wall_s

    @property
    def lines_up(self) -> bool:
        """Whether its next task may be sent to a worker that has one in hand (see `ahead`)."""
        return ahead.lines_up(self)

    @property
    def numbers(self) -> int:
        """One more than the highest number that a task of it may have now."""
        return self.tasks if self.guided is None else self.handout.numbers

    @property
    def items_over(self) -> bool:
        """Whether all of its items have ended, well or not."""
        return self.items_done + self.items_failed >= self.spec.items.total and not self.spec.items.open

    @property
    def finishing(self) -> bool:
        """Whether nothing but its [finally] step is left to be done, and that is."""
        step = self.spec.finish
        if step is None or not (self.alive and self.items_over):
            return False
        over = self.finish is not None and self.finish.state in TASK_FINAL
        return not over and (step.on == "ended" or not self.items_failed)

    @property
    def _ends_by_command(self) -> bool:
        """Whether it is at a [finally] step that needs no interpreter of its calls."""
        return self.finishing and self.spec.finish is not None and self.spec.finish.call is None

    def timeout_of(self, task: Task) -> float | None:
        """Seconds that a task may run at most, None for any time."""
        return self.spec.finish.timeout_s if task.is_finish and self.spec.finish else self.spec.timeout_s

    def demand(self, start_s: float = 0.0) -> Demand:
        """What the next task is made by; its start costs `start_s` at least."""
        return Demand(self.id, self.footprint.pace, self.workers, self.spec.timeout_s, start_s)

    @property
    def memory_need(self) -> float | None:
        """Bytes that a task is taken to need: the claim, else what was seen and a tenth; more after a lack of it."""
        claim = self.spec.resources.memory_bytes
        if claim is None and not self.footprint.ends:
            return self.footprint.raised_bytes or None
        return max(claim or 1.1 * self.footprint.memory_bytes, self.footprint.raised_bytes)

    @property
    def open(self) -> bool:
        """Whether it may hand out tasks."""
        return self.state in (JobState.QUEUED, JobState.RUNNING)

    @property
    def alive(self) -> bool:
        """Whether its tasks may be handed out now, or once it is released."""
        return self.open or self.state is JobState.HELD

    @property
    def ahead(self) -> int:
        """How many of its tasks a worker may be sent at a time (see `ahead`)."""
        return ahead.most(self)

    def ready(self, now: float) -> bool:
        """Whether a task could be handed out now, as far as the job itself is concerned."""
        if not self.open or self.gate or (self.cold and not self._ends_by_command) or (
            self.spec.limits.workers is not None and len(self.live) >= self._most()
        ):
            return False
        if self.where in HERE and self._has_items(now):
            return True
        return self.gathered and self.finish is None and self.finishing

    def _has_items(self, now: float) -> bool:
        return self.handout.more or (bool(self.again) and self.again[0][0] <= now)

    def ready_elsewhere(self, now: float) -> bool:
        """Whether tasks of it may be handed to an engine beyond this machine; the [finally] step never is."""
        return self.open and not self.gate and self.where != "local" and self._has_items(now)

    def _most(self) -> int:
        """How many of its tasks may be handed out at once under its own limit."""
        workers = self.spec.limits.workers or 1
        return workers * self.ahead

    def take(self, now: float, workers: int = 1, gpus: str = "", abroad_s: float | None = None) -> Task:
        """The next task, as an attempt about to start, on these cards; only when `ready`. So many `workers` may share
        what is left. With `abroad_s` it is for an engine elsewhere, where a start costs so many seconds."""
        self.workers = min(workers, self.spec.limits.workers or workers)
        has_items = self.where in HERE or abroad_s is not None  # else only the last step is done here
        if has_items and self.again and self.again[0][0] <= now:
            task = heapq.heappop(self.again)[2]
        elif has_items and self.handout.more:
            task = self.handout.next(self.demand(abroad_s or 0.0))
        else:
            task = self.finish = Task(
                job=self.id, number=self.handout.number_finish(), start=self.spec.items.total, count=0
            )
        attempt = {"attempts": task.attempts + 1, "gpus": gpus, "place": "", "host": "", "engine_id": ""}
        task = advance(task, TaskState.STARTING, reason="", exit_code=None, signal=None, **attempt)
        self.live[task.number] = task
        if abroad_s is not None:
            self.elsewhere.add(task.number)
        self.served_at, self.passed_at = now, None
        return task

    def put_back(self, task: Task, reason: str = "", not_before: float = 0.0) -> Task:
        """An attempt that was not started goes back into the queue; it does not count as one."""
        self._leave(task.number)
        task = advance(
            task, TaskState.QUEUED, attempts=task.attempts - 1, run=None, worker=None, pid=None, reason=reason,
            not_before=not_before,
        )
        self.queue(task)
        return task

    def queue(self, task: Task) -> None:
        """Puts a queued task that has a record back in line."""
        heapq.heappush(self.again, (task.not_before, task.number, task))

    def shift(self, seconds: float) -> None:
        """Moves all times that something is waited for or counted from, after the clock was set by so much."""
        self.again = [(due + seconds, number, note(task, not_before=due + seconds)) for due, number, task in self.again]
        heapq.heapify(self.again)
        for number, task in self.live.items():
            if task.started_at is not None:
                self.live[number] = note(task, started_at=task.started_at + seconds)
        self.submitted_at += seconds
        self.started_at = None if self.started_at is None else self.started_at + seconds
        self.passed_at = None if self.passed_at is None else self.passed_at + seconds
        self.served_at += seconds if self.served_at else 0.0  # 0: never, and so before all others
        self.raised_at += seconds if self.raised_at else 0.0

    def settle(self, task: Task, stopped_s: float = 0.0) -> Used | None:
        """Counts `task`, whose attempt is over, for good or until its next try; what it used if it ended by itself.

        The seconds that it stood still are no part of that.
        """
        self._leave(task.number)
        if task.state is TaskState.QUEUED:
            self.queue(task)
            return None
        self._count(task, 1)
        if task.is_finish:
            self.finish = task
        elif task.state in (TaskState.DONE, TaskState.FAILED) and task.started_at and task.ended_at:
            wall_s = max(0.0, task.ended_at - task.started_at - stopped_s)
            used = Used(wall_s, task.cpu_s or 0.0, task.memory_peak_bytes or 0)
            self.footprint.learn(wall_s, used.cpu_s, used.memory_bytes)
            return used if self.guided is None else self._paced(task, used)
        return None

    def _leave(self, number: int) -> None:
        """A task is live no more, whoever had it."""
        self.live.pop(number, None)
        self.lined_up.discard(number)
        self.elsewhere.discard(number)

    def _count(self, task: Task, sign: int) -> None:
        """Puts an ended task into the counters, or takes it out again."""
        self.tasks_ended += sign * task.stands_for
        if task.state is TaskState.DONE:
            self.items_done += sign * task.count
        else:
            self.items_failed += sign * task.count

    def _paced(self, task: Task, used: Used) -> Used:
        """What a range used, as one of the usual size would have: ranges of all sizes are compared by that."""
        pace = self.footprint.pace
        if task.state is TaskState.DONE:
            pace.learn(task.count, used.wall_s)
        if not pace.unit or not used.wall_s:
            return used._replace(telling=False)
        usual_s = pace.as_usual_s(task.count, used.wall_s)
        return used._replace(wall_s=usual_s, cpu_s=used.cpu_s * usual_s / used.wall_s, took_s=used.wall_s)

    def divide(self, task: Task) -> tuple[Task, Task]:
        """Puts two halves in the place of a live range that failed, both queued; only where ranges are chosen."""
        assert self.guided is not None
        self._leave(task.number)
        halves = self.guided.divide(task)
        for half in halves:
            self.queue(half)
        return halves

    def withdraw(self, number: int) -> Task | None:
        """Takes a task that is not live out of the line, for good; None when it is not waiting."""
        for index, (_, waiting, task) in enumerate(self.again):
            if waiting == number:
                del self.again[index]
                heapq.heapify(self.again)
                return task
        return self.handout.withdraw(self.id, number)

    @property
    def unstarted(self) -> TaskState:
        """What becomes of its tasks that were never handed out."""
        return TaskState.CANCELED if self.state is JobState.CANCELED else TaskState.QUEUED

    def promised(self, first: int, most: int) -> list[Task]:
        """Of the tasks that were never handed out `most` from the `first` on, as they are now."""
        found = self.handout.promised(self.id, first, most)
        return found if self.unstarted is TaskState.QUEUED else [advance(task, self.unstarted) for task in found]

    def unbegun_finish(self) -> Task | None:
        """Its [finally] step, as long as that was not handed out; canceled where it will not be any more."""
        if self.spec.finish is None or self.finish is not None:
            return None
        number = self.handout.numbers + (0 if self.guided is None else self.handout.promises)
        state = TaskState.CANCELED if self.state in JOB_FINAL else TaskState.QUEUED
        return Task(job=self.id, number=number, start=self.spec.items.total, count=0, state=state)

    def resume(self, recorded: Recorded) -> None:
        """Goes on from what the store holds."""
        self.handout.resume(recorded)
        self.finish = recorded.finish
        self.gathered = recorded.finish is not None  # its results were there before it was begun

    def prefer(self, priority: int) -> None:
        """Another priority, from now on."""
        self.spec = msgspec.structs.replace(self.spec, priority=priority)

    def become(self, made: Items) -> None:
        """The items of an open job are these by now."""
        assert isinstance(self.handout, Fixed)
        self.spec = msgspec.structs.replace(self.spec, items=made)
        self.handout.become(made)

    def reopen(self, tasks: list[Task]) -> list[Task]:
        """Queues ended `tasks` once more, with a fresh count of attempts; returns those as they are now that keep their
        record. Where ranges are chosen, those of several items are handed out anew, as if they never had been."""
        fresh = []
        self._begin_finish_anew()
        for task in tasks:
            if task.is_finish:
                continue
            self._count(task, -1)
            if self.guided is not None and task.count > 1:
                self.guided.give_back(task)
                continue
            queued = advance(task, TaskState.QUEUED, attempts=0, reason="retried by the user", not_before=0.0)
            self.queue(queued)
            fresh.append(queued)
        return fresh

    def _begin_finish_anew(self) -> None:
        """As if the [finally] step never had been: it runs again when all items are over."""
        self.gathered, self.rounds = False, self.rounds + 1
        if self.finish is not None:
            self._count(self.finish, -1)
            self.finish = None

    def verdict(self) -> JobState | None:
        """The state in which the job ends, None while something of it is to be done."""
        if self.state in (JobState.CANCELED, JobState.FAILED):
            return self.state if not self.live else None
        if not self.items_over or self.finishing:
            return None
        failed = self.finish is not None and self.finish.state is not TaskState.DONE
        return JobState.FAILED if self.items_failed or failed else JobState.DONE

    def words(self) -> str:
        """What a job that has failed says of it."""
        failed, total = self.items_failed, self.spec.items.total
        said = [f"{failed} of {total} items failed"] if failed else []
        if self.finish is not None and self.finish.state not in (TaskState.DONE, TaskState.QUEUED):
            said.append(f"its [finally] step: {self.finish.reason or self.finish.state.value}")
        return "; ".join(said)

    def enter(self, state: JobState, reason: str = "") -> None:
        """Moves the job; raises ValueError for a move that is not allowed."""
        self.state = move_job(self.state, state)
        self.reason = reason
