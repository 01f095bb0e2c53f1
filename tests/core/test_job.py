"""The account of a job: which task comes next, and what the counters say."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core.handout import Fixed, Recorded
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.spec import Call, Items, Limits, Recycle, Spec
from gristmill.supervisor.core.task import JobState, Task, TaskState, advance


def job(total: int = 10, per_task: int = 1, cursor: int = 0, **more: object) -> Job:
    spec = Spec(name="j", kind="command", command="true", cwd="/", items=Items(total=total, per_task=per_task),
                **more)  # type: ignore[arg-type]  # a test passes what it likes
    return Job(id=1, spec=spec, file="j.toml", submitted_at=0.0, cursor=cursor)


def end(account: Job, task: Task, state: TaskState = TaskState.DONE) -> None:
    account.settle(advance(task, state, started_at=1.0, ended_at=2.0, cpu_s=0.1, memory_peak_bytes=100))


def test_a_million_items_are_a_cursor() -> None:
    account = job(total=1_000_000, per_task=16)
    assert account.tasks == 62_500
    first = account.take(0.0)
    assert (first.number, first.start, first.count, first.attempts) == (0, 0, 16, 1)
    assert (account.handout.recorded, len(account.live), account.waiting) == (0, 1, 62_499)


def test_the_last_task_is_as_long_as_what_is_left() -> None:
    account = job(total=10, per_task=4)
    assert [account.take(0.0).count for _ in range(account.tasks)] == [4, 4, 2]
    assert not account.ready(0.0)


def test_a_task_put_back_comes_again_first_and_was_no_attempt() -> None:
    account = job()
    task = account.take(0.0)
    account.put_back(task)
    again = account.take(0.0)
    assert (again.number, again.attempts) == (0, 1)


def test_a_retry_waits_for_its_time_while_others_pass() -> None:
    account = job(total=3)
    account.settle(advance(account.take(0.0), TaskState.QUEUED, not_before=50.0))
    assert [account.take(1.0).number, account.take(1.0).number] == [1, 2]
    assert not account.ready(49.0)
    assert account.ready(50.0)
    assert account.take(50.0).attempts == 2


def test_a_job_ends_failed_when_an_item_failed() -> None:
    account = job(total=2)
    end(account, account.take(0.0))
    end(account, account.take(0.0), TaskState.FAILED)
    assert account.verdict() is JobState.FAILED
    assert (account.items_done, account.items_failed) == (1, 1)


def test_a_canceled_job_ends_when_nothing_of_it_lives() -> None:
    account = job(total=5)
    task = account.take(0.0)
    account.enter(JobState.CANCELED)
    assert not account.ready(0.0)
    assert account.verdict() is None
    end(account, task, TaskState.CANCELED)
    assert account.verdict() is JobState.CANCELED


def test_a_task_canceled_beforehand_is_passed_over() -> None:
    account = job(total=4)
    for number in (0, 2):
        task = account.withdraw(number)
        assert task is not None
        account.settle(advance(task, TaskState.CANCELED))
    assert [account.take(0.0).number, account.take(0.0).number] == [1, 3]
    assert account.withdraw(1) is None, "it is live"


def test_a_job_that_goes_on_hands_out_nothing_that_has_a_record() -> None:
    account = job(total=6, cursor=2)
    account.resume(Recorded(numbers=frozenset({2, 4})))
    assert [account.take(0.0).number for _ in range(2)] == [3, 5]
    assert not account.ready(0.0)


def test_a_jobs_own_limit_of_workers_holds() -> None:
    account = job(total=9, limits=Limits(workers=2))
    account.take(0.0)
    assert account.ready(0.0)
    account.take(0.0)
    assert not account.ready(0.0)


def test_only_a_class_known_to_be_tiny_is_sent_ahead() -> None:
    account = job(total=100)
    assert account.ahead == 1
    for _ in range(8):
        account.footprint.learn(0.002, 0.001, 1000)
    assert account.ahead == 24
    for _ in range(40):
        account.footprint.learn(1.0, 1.0, 1000)
    assert account.ahead == 1


def test_of_calls_in_a_process_that_is_used_again_more_are_sent_ahead() -> None:
    """As many as last through two commits, since they are shorter than any command; not more work than of commands."""
    def of(recycle: Recycle | None) -> Job:
        account = job(total=1000)
        account.spec = msgspec.structs.replace(account.spec, call=Call(target="lab:f", recycle=recycle))
        for _ in range(8):
            account.footprint.learn(0.0002, 0.0002, 1000)
        return account

    again = of(Recycle())
    assert (of(None).ahead, again.ahead) == (24, 256)
    for _ in range(100):
        again.footprint.learn(0.001, 0.001, 1000)
    assert 90 <= again.ahead <= 100


def test_of_the_last_tiny_tasks_no_worker_gets_more_than_its_share() -> None:
    """And something is left that waits: it is by this that one worker more is known to be of use."""
    account = job(total=4)
    account.footprint.ends, account.footprint.wall_s = 20, 0.01
    account.take(0.0, workers=2)
    assert account.ahead == 2
    account.take(0.0, workers=1)
    assert (account.ahead, account.waiting) == (2, 2)


def test_ended_tasks_can_be_reopened() -> None:
    account = job(total=2)
    end(account, account.take(0.0))
    failed = account.take(0.0)
    end(account, failed, TaskState.FAILED)
    account.reopen([advance(failed, TaskState.FAILED)])
    assert (account.tasks_ended, account.items_done, account.items_failed) == (1, 1, 0)
    assert account.take(0.0).number == 1


@given(st.lists(st.sampled_from(["take", "end", "fail", "back", "again", "withdraw"]), max_size=60), st.integers(1, 12))
def test_no_order_of_events_loses_or_doubles_a_task(events: list[str], total: int) -> None:
    account = job(total=total)
    line = account.handout
    assert isinstance(line, Fixed)
    over: list[int] = []
    recorded: set[int] = set()
    for event in events:
        for number in list(line.unrecorded):
            if len(events) % 2 and number % 2:  # some are written down sooner than others
                line.put(number)
                recorded.add(number)
        assert all(number in recorded or number in over for number in range(line.recorded))
        live = next(iter(account.live.values()), None)
        if event == "take" and account.ready(0.0):
            account.take(0.0)
        elif event == "withdraw":
            task = account.withdraw(total // 2)
            if task is not None:
                over.append(task.number)
                account.settle(advance(task, TaskState.CANCELED))
        elif live is not None and event in ("end", "fail"):
            line.put(live.number)
            over.append(live.number)
            end(account, live, TaskState.DONE if event == "end" else TaskState.FAILED)
        elif live is not None and event == "back":
            account.put_back(live)
            line.put(live.number)
            recorded.add(live.number)
        elif live is not None and event == "again":
            account.settle(advance(live, TaskState.QUEUED))
            line.put(live.number)
            recorded.add(live.number)
    while account.live or account.ready(0.0):
        task = next(iter(account.live.values())) if account.live else account.take(0.0)
        over.append(task.number)
        end(account, task)
    assert sorted(over) == list(range(total))
    assert account.tasks_ended == total
    assert account.verdict() is not None


def of_a_second(total: int, wall_s: float = 1.0, limits: Limits = Limits()) -> Job:  # noqa: B008 - it is frozen
    """A job whose first ten tasks took so long, with two workers."""
    account = job(total, limits=limits)
    for _ in range(10):
        task = account.take(0.0, 2)
        account.settle(advance(task, TaskState.DONE, started_at=1.0, ended_at=1.0 + wall_s, cpu_s=0.1))
    return account


def test_a_task_of_a_second_may_stand_behind_the_one_in_hand_while_there_are_enough_for_all() -> None:
    account = of_a_second(14)
    assert account.lines_up and account.expected_s == 1.0
    account.take(0.0, 2)
    account.take(0.0, 2)
    assert account.lines_up, "two are left, one for each worker"
    account.take(0.0, 2)
    assert not account.lines_up, "the last one is for whoever is free first"


def test_tasks_that_are_tiny_or_long_or_limited_do_not_stand_behind_others() -> None:
    assert not of_a_second(100, wall_s=0.01).lines_up
    assert not of_a_second(100, wall_s=10.0).lines_up
    assert not of_a_second(100, limits=Limits(workers=2)).lines_up
    held = of_a_second(100)
    held.enter(JobState.HELD)
    assert not held.lines_up


def test_what_is_counted_from_goes_with_a_clock_that_is_set_and_never_stays_never() -> None:
    served, fresh = job(), job()
    task = served.take(100.0)
    served.live[task.number] = advance(task, TaskState.RUNNING, started_at=100.0)
    served.put_back(served.take(100.0), not_before=160.0)
    served.started_at = 100.0
    for account in (served, fresh):
        account.shift(1000.0)
    assert served.live[task.number].started_at == served.started_at == served.served_at == 1100.0
    assert (served.ready(1159.0), served.again[0][0], served.again[0][2].not_before) == (True, 1160.0, 1160.0)
    assert (served.submitted_at, fresh.served_at, fresh.raised_at, fresh.started_at) == (1000.0, 0.0, 0.0, None)
