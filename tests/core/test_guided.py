"""Ranges that are chosen on the way: every item once, and no more records than there is to tell."""

from __future__ import annotations

import msgspec

from gristmill.supervisor.core.guided import Guided
from gristmill.supervisor.core.handout import Recorded
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.spec import Items, Limits, Spec
from gristmill.supervisor.core.task import JobState, Task, TaskState, advance


def job(total: int = 100, **limits: int) -> Job:
    spec = Spec(name="j", kind="command", command="x {start} {count}", cwd="/",
                items=Items(total=total, per_task=None), limits=Limits(**limits))
    return Job(id=1, spec=spec, file="j.toml", submitted_at=0.0)


def line(account: Job) -> Guided:
    assert account.guided is not None
    return account.guided


def end(account: Job, task: Task, state: TaskState = TaskState.DONE, item_s: float = 0.001, **facts: object) -> Task:
    """Ends a task as the ledger does; returns its record."""
    ended = advance(task, state, started_at=10.0, ended_at=10.0 + item_s * task.count, cpu_s=1.0, **facts)
    account.settle(ended)
    return line(account).keep(ended).put


def test_it_begins_with_one_item_and_grows() -> None:
    account = job(1_000_000)
    counts: list[int] = []
    while len(counts) < 12:
        task = account.take(0.0, 2)
        counts.append(task.count)
        end(account, task)
    assert counts[:4] == [1, 4, 16, 64]
    assert all(900 <= count <= 1100 for count in counts[7:]), counts


def test_what_ended_well_is_one_record_whatever_the_order() -> None:
    account = job(6)
    tasks = [account.take(0.0) for _ in range(4)]
    last = None
    for place in (2, 0, 3, 1):
        last = end(account, tasks[place])
    assert last is not None
    assert (last.number, last.start, last.count, last.stands_for, last.state) == (0, 0, 4, 4, TaskState.DONE)
    assert (last.started_at, last.ended_at, last.cpu_s) == (10.0, 10.001, 4.0)
    assert (account.tasks_ended, account.items_done) == (4, 4)


def test_who_has_something_to_tell_keeps_a_record_of_its_own() -> None:
    account = job(400)
    kept = []
    for facts in ({"log": "a.log"}, {"reason": "its result is not JSON"}, {}):
        before = end(account, account.take(0.0))
        kept.append(line(account).keep(advance(account.take(0.0), TaskState.DONE, **facts)))
        assert before.stands_for >= 1
    assert [len(change.gone) for change in kept] == [0, 0, 1]


def test_a_failed_range_is_halved_until_the_item_is_found() -> None:
    account = job(1_000)
    for _ in range(4):
        end(account, account.take(0.0, 1))
    bad, tried = account.items_done + 5, 0
    while account.verdict() is None:
        task = account.take(0.0, 1)
        if task.start <= bad < task.start + task.count:
            tried += 1
            if task.count > 1:
                first, second = account.divide(task)
                assert (first.start, first.count + second.count) == (task.start, task.count)
                assert second.start == first.start + first.count
                assert min(first.number, second.number) > task.number
                continue
            record = end(account, task, TaskState.FAILED)
            assert (record.start, record.count, record.attempts) == (bad, 1, 1)
        else:
            end(account, task)
    assert (account.items_done, account.items_failed) == (999, 1)
    assert account.verdict() is JobState.FAILED
    assert tried <= 12, "one try a halving"


def test_what_has_no_record_is_left_to_be_done() -> None:
    account = job(100)
    recorded = Recorded(covered=[(0, 40), (50, 60)], whole=[Task(job=1, number=3, start=50, count=10,
                                                                 state=TaskState.DONE)])  # fmt: skip
    account.resume(recorded)
    assert list(line(account).todo) == [(40, 50), (60, 100)]
    assert [(task.start, task.count) for task in account.promised(0, 9)] == [(40, 10), (60, 40)]
    assert [task.start for task in account.promised(1, 9)] == [60]
    first = account.take(0.0)
    assert first.start == 40
    later = msgspec.structs.replace(first, start=49)
    assert line(account).keep(advance(later, TaskState.DONE)).put.count == 11, "one with the record behind it"


def test_a_job_that_is_known_starts_at_its_pace() -> None:
    first, second = job(100_000), job(100_000)
    for _ in range(20):
        end(first, first.take(0.0))
    second.footprint.pace = first.footprint.pace
    assert second.take(0.0).count > 500


def test_ranges_of_a_second_are_not_sent_ahead_because_the_first_ones_were_short() -> None:
    account = job(10_000_000)
    for _ in range(8):
        end(account, account.take(0.0, 2), item_s=0.0001)
    account.take(0.0, 2)
    assert account.footprint.wall_s < 0.5
    assert account.ahead == 1


def test_a_range_of_a_second_may_stand_behind_the_one_in_hand() -> None:
    """Not a tiny one, which is sent ahead anyway; nor the last ones, with which a worker would be left behind."""
    account = job(10_000)
    for _ in range(20):
        end(account, account.take(0.0, 2), item_s=0.01)
    assert account.lines_up
    tasks = [account.take(0.0, 2) for _ in range(4)]
    account.lined_up.update(task.number for task in tasks[2:])
    assert (len(account.live), account.hands) == (4, 2)
    account.put_back(tasks[3])
    assert (account.hands, account.lines_up) == (2, False), "one that has a record comes first"
    account.take(0.0, 2)
    for task in tasks[:3]:
        end(account, task, item_s=0.01)
    assert account.hands == 1
    while account.lines_up:
        end(account, account.take(0.0, 2), item_s=0.01)
    assert 50 < line(account).todo.total < 400


def test_ranges_of_a_job_with_a_limit_or_of_little_work_do_not_stand_behind_others() -> None:
    limited, tiny = job(10_000, workers=2), job(100)
    for _ in range(20):
        end(limited, limited.take(0.0, 2), item_s=0.01)
    for _ in range(5):
        end(tiny, tiny.take(0.0, 2), item_s=0.001)
    assert (limited.lines_up, tiny.lines_up) == (False, False)


def test_a_canceled_job_shows_what_it_never_began() -> None:
    account = job(100)
    end(account, account.take(0.0))
    account.enter(JobState.CANCELED)
    (rest,) = account.promised(0, 10)
    assert (rest.start, rest.count, rest.state) == (1, 99, TaskState.CANCELED)
    assert account.verdict() is JobState.CANCELED


def test_what_is_retried_comes_again_in_ranges_as_they_come() -> None:
    account = job(50)
    records = []
    while account.ready(0.0):
        records.append(end(account, account.take(0.0, 1)))
    assert account.verdict() is JobState.DONE
    (whole,) = [record for record in records if record.count == 50]
    assert account.reopen([whole]) == []
    assert (account.items_done, account.tasks_ended) == (0, 0)
    assert list(line(account).todo) == [(0, 50)]
    assert account.verdict() is None
    while account.ready(0.0):
        end(account, account.take(0.0, 1))
    assert account.items_done == 50


def test_only_the_jobs_own_workers_share_what_is_left() -> None:
    account = job(1000, workers=1)
    for _ in range(8):
        end(account, account.take(0.0, 100), item_s=0.01)
    assert account.take(0.0, 100).count > 50
