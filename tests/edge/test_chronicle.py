"""The past that is kept: in order, numbered, bounded; tasks by the thousand push nothing else out."""

from __future__ import annotations

import asyncio

import pytest

from gristmill.supervisor import chronicle
from gristmill.supervisor.chronicle import Chronicle
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.events import Event, GapEvent, JobEvent
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.protocol import DecisionView
from gristmill.supervisor.core.spec import Notify, Spec
from gristmill.supervisor.core.task import JobState, Task, TaskState


class Past:
    """A chronicle with a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.kept = Chronicle(lambda: self.now)
        self.heard: list[tuple[str, Notify]] = []
        self.kept.listeners.append(self.hear)

    def hear(self, event: Event, notify: Notify) -> None:
        self.heard.append((event.state if isinstance(event, JobEvent) else type(event).__name__, notify))

    def job(self, job: Job) -> None:
        self.kept.tell(self.kept.see((), (job,), str))

    def tasks(self, count: int) -> None:
        rows = [Task(job=1, number=number, start=number, count=1, state=TaskState.DONE) for number in range(count)]
        self.kept.tell(self.kept.see(rows, (), lambda _: "sweep"))


def job(notify: Notify = True) -> Job:
    spec = Spec(name="sweep", kind="command", command="true", cwd="/", notify=notify)
    return Job(id=1, spec=spec, file="sweep.toml", submitted_at=5.0, claim="c")


def test_a_job_is_told_of_when_its_state_is_another_and_not_between() -> None:
    past, one = Past(), job("mail me")
    past.job(one)
    past.job(one)
    one.enter(JobState.RUNNING)
    past.job(one)
    past.job(one)
    one.enter(JobState.DONE)
    one.ended_at = 101.0
    past.job(one)
    assert past.heard == [("queued", "mail me"), ("running", "mail me"), ("done", "mail me")]
    assert [event.seq for event in past.kept.past(0, 0.0, 10)[0]] == [1, 2, 3]


def test_what_an_earlier_daemon_said_is_not_said_again() -> None:
    past, one = Past(), job()
    past.kept.know(one)
    past.job(one)
    assert past.heard == []


def test_tasks_limits_and_jobs_come_in_order_and_by_pages() -> None:
    past = Past()
    past.job(job())
    past.tasks(3)
    past.now = 200.0
    past.kept.limit(DecisionView(time=200.0, before=1, after=2, reason="more fit"))
    past.tasks(1)
    kinds = [type(event).__name__ for event in past.kept.past(0, 0.0, 10)[0]]
    assert kinds == ["JobEvent", "TaskEvent", "TaskEvent", "TaskEvent", "LimitEvent", "TaskEvent"]
    page, last = past.kept.past(0, 0.0, 4)
    assert (len(page), last) == (4, 4)
    assert [type(event).__name__ for event in past.kept.past(last, 0.0, 4)[0]] == ["LimitEvent", "TaskEvent"]
    assert [event.seq for event in past.kept.past(0, 150.0, 10)[0]] == [5, 6]


def test_the_past_is_bounded_says_where_it_begins_and_keeps_jobs_beside_many_tasks() -> None:
    past = Past()
    past.job(job())
    past.tasks(chronicle.TASKS + 7)
    found, _ = past.kept.past(0, 0.0, 10**6)
    assert isinstance(found[0], GapEvent) and found[0].seq == 8
    assert isinstance(found[1], JobEvent)
    assert len(found) == chronicle.TASKS + 2
    assert not isinstance(past.kept.past(8, 0.0, 10)[0][0], GapEvent)


async def test_who_waits_hears_at_once() -> None:
    past = Past()
    waiting = asyncio.ensure_future(past.kept.operations["events"](None, {"timeout": 50}))
    await asyncio.sleep(0)
    past.tasks(1)
    answer = await asyncio.wait_for(waiting, 20)
    assert ([event.id for event in answer["events"]], answer["next"]) == (["1/0"], 1)
    for wrong in ({"after": "x"}, {"since": -1}, {"timeout": True}):
        with pytest.raises(RequestError):
            await past.kept.operations["events"](None, wrong)
