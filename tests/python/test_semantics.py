"""An executor of ours does what `ProcessPoolExecutor` does: the same tests for both."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import threading
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from gristmill import Client, Executor, InitializerError
from tests.python import work
from tests.python.conftest import CLAIMED
from tests.waiting import DEADLINE, until

MANY = 3000


def test_a_call_returns_its_value(pool: futures.Executor) -> None:
    assert pool.submit(work.add, 2, b=3).result(DEADLINE) == 5
    assert pool.submit(math.sqrt, 16).result(DEADLINE) == 4.0


def test_an_exception_comes_back_with_its_fields_and_where_it_was_raised(pool: futures.Executor) -> None:
    future = pool.submit(work.fail, "odd")
    with pytest.raises(work.OddError, match="odd") as caught:
        future.result(DEADLINE)
    assert (caught.value.word, caught.value.number, caught.value.args) == ("odd", 7, ("odd", 7))
    assert "in fail\n" in str(caught.value.__cause__)
    assert future.exception() is caught.value


def test_map_keeps_the_order_and_takes_several_iterables(pool: futures.Executor) -> None:
    assert list(pool.map(work.add, range(7), range(10, 17), timeout=DEADLINE)) == [10 + 2 * n for n in range(7)]
    assert list(pool.map(work.add, range(7), range(99), timeout=DEADLINE, chunksize=3)) == [2 * n for n in range(7)]
    assert list(pool.map(work.same, [], timeout=DEADLINE)) == []
    with pytest.raises(ValueError, match="chunksize"):
        pool.map(work.same, [1], chunksize=0)


def test_map_raises_where_the_failing_call_has_its_turn(pool: futures.Executor) -> None:
    found = pool.map(work.fail_at, range(4), [2] * 4, timeout=DEADLINE)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ValueError, match="not 2"):
        next(found)


def test_a_result_that_is_late_is_a_timeout_and_still_comes(pool: futures.Executor, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    future = pool.submit(work.wait_for, str(gate))
    with pytest.raises(futures.TimeoutError):
        future.result(0.05)
    late = pool.map(work.wait_for, [str(gate)], timeout=0.05)
    with pytest.raises(futures.TimeoutError):
        next(late)
    gate.touch()
    assert future.result(DEADLINE) == str(gate)


def test_as_completed_and_wait_hear_of_calls(pool: futures.Executor, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    slow: futures.Future[object] = pool.submit(work.wait_for, str(gate))
    quick: futures.Future[object] = pool.submit(work.same, 1)
    done, rest = futures.wait([slow, quick], DEADLINE, futures.FIRST_COMPLETED)
    assert (done, rest) == ({quick}, {slow})
    bad: futures.Future[object] = pool.submit(work.fail, "x")
    assert futures.wait([slow, bad], DEADLINE, futures.FIRST_EXCEPTION).done == {bad}
    gate.touch()
    assert set(futures.as_completed([slow, quick, bad], DEADLINE)) == {slow, quick, bad}


def test_what_waits_can_be_canceled_and_what_runs_can_not(pool: futures.Executor, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    held = [pool.submit(work.wait_for, str(gate)) for _ in range(2)]
    for future in held:
        wait_until(future.running)
    waiting = [pool.submit(work.append, str(tmp_path / "ran"), str(n)) for n in range(8)]
    if isinstance(pool, Executor):
        wait_until(lambda: client_has_sent(waiting[-1]))
    assert waiting[-1].cancel()
    assert waiting[-1].cancelled() and waiting[-1].done()
    assert waiting[-1].cancel()
    assert not held[0].cancel()
    gate.touch()
    done, _ = futures.wait([*held, *waiting], DEADLINE)
    assert len(done) == 10
    with pytest.raises(futures.CancelledError):
        waiting[-1].result()
    for number in range(4):  # whatever was submitted before these has had its turn
        pool.submit(work.same, number).result(DEADLINE)
    assert sorted((tmp_path / "ran").read_text().split()) == [str(n) for n in range(7)]
    assert not waiting[0].cancel()


def test_callbacks_are_called_once(pool: futures.Executor) -> None:
    heard: list[int] = []
    future = pool.submit(work.same, 3)
    future.add_done_callback(lambda done: heard.append(done.result()))
    future.result(DEADLINE)
    wait_until(lambda: heard == [3])


def test_what_can_not_be_pickled_is_an_exception_of_its_future_alone(pool: futures.Executor) -> None:
    lock = threading.Lock()
    bad = pool.submit(work.same, lock)
    with pytest.raises(TypeError, match="pickle"):
        bad.result(DEADLINE)
    with pytest.raises(TypeError, match="pickle"):
        pool.submit(work.give_lock).result(DEADLINE)
    with pytest.raises(TypeError, match="pickle"):
        pool.submit(work.fail_stubbornly).result(DEADLINE)
    assert pool.submit(work.same, 1).result(DEADLINE) == 1


def test_twenty_megabytes_go_there_and_back(pool: futures.Executor) -> None:
    data = bytes(range(256)) * (20 * 4096)
    assert pool.submit(work.size, data).result(DEADLINE) == (len(data), data)


def test_sys_exit_is_an_exception(pool: futures.Executor) -> None:
    with pytest.raises(SystemExit) as caught:
        pool.submit(work.leave, 3).result(DEADLINE)
    assert caught.value.code == 3


@pytest.mark.parametrize("how", [work.die, work.vanish])
def test_a_worker_that_dies_breaks_its_call(pool: futures.Executor, how: object) -> None:
    future = pool.submit(work.die) if how is work.die else pool.submit(work.vanish, 5)
    with pytest.raises(BrokenProcessPool):
        future.result(DEADLINE)
    if isinstance(pool, Executor):  # the standard one is of no use any more
        assert pool.submit(work.same, 1).result(DEADLINE) == 1


@pytest.mark.parametrize("kind", ["gristmill", "processes"])
def test_an_initializer_is_called_once_in_each_process(client: Client, kind: str) -> None:
    how: dict[str, Any] = {"max_workers": 1, "initializer": work.set_mark, "initargs": (7,)}
    made = Executor(client, job=CLAIMED, **how) if kind == "gristmill" else ProcessPoolExecutor(**how)
    with made as pool:
        assert [pool.submit(work.marks).result(DEADLINE) for _ in range(3)] == [[7]] * 3


@pytest.mark.parametrize("kind", ["gristmill", "processes"])
def test_an_initializer_that_raises_breaks_the_executor(client: Client, kind: str) -> None:
    how: dict[str, Any] = {"max_workers": 2, "initializer": work.fail, "initargs": ("odd",)}
    pool = Executor(client, job=CLAIMED, **how) if kind == "gristmill" else ProcessPoolExecutor(**how)
    pending: list[futures.Future[Any]] = []
    # what is handed to the standard one in the moment in which it breaks is never answered (before Python 3.12)
    count = MANY if isinstance(pool, Executor) else 1
    with contextlib.suppress(BrokenProcessPool):  # it may have heard of it by now
        pending.extend(pool.submit(work.same, number) for number in range(count))
    errors = [future.exception(DEADLINE) for future in pending]
    assert all(isinstance(error, BrokenProcessPool) for error in errors)
    with pytest.raises(BrokenProcessPool):
        pool.submit(work.same, 1)
    if isinstance(pool, Executor):
        with pytest.raises(InitializerError, match=r"the initializer failed in a worker: .*OddError: ") as caught:
            pool.submit(work.same, 1)
        assert isinstance(caught.value.__cause__, work.OddError)
        assert "in fail\n" in str(caught.value.__cause__.__cause__)
    pool.shutdown()
    if isinstance(pool, Executor):
        client.wait(pool.job, DEADLINE)
        begun = sum(task.started_at is not None for task in client.tasks(pool.job))
        assert begun < MANY, "those that waited found it out again, one by one"


def test_a_queue_of_a_manager_can_be_passed_on(pool: futures.Executor) -> None:
    with multiprocessing.Manager() as manager:
        queue = manager.Queue()
        pool.submit(work.put, queue, 5).result(DEADLINE)
        assert queue.get(timeout=DEADLINE) == 5


def test_nothing_is_taken_after_shutdown(pool: futures.Executor) -> None:
    future = pool.submit(work.same, 1)
    pool.shutdown()
    assert future.done() and future.result() == 1
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(work.same, 2)
    pool.shutdown()


def test_shutdown_can_drop_what_waits(pool: futures.Executor, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    held = [pool.submit(work.wait_for, str(gate)) for _ in range(2)]
    for future in held:
        wait_until(future.running)
    waiting = [pool.submit(work.same, n) for n in range(20)]
    pool.shutdown(wait=False, cancel_futures=True)
    wait_until(lambda: sum(future.cancelled() for future in waiting) >= 15)
    gate.touch()
    pool.shutdown()
    assert [future.result() for future in held] == [str(gate)] * 2
    wait_until(lambda: all(future.done() for future in waiting))


def client_has_sent(future: futures.Future[Any]) -> bool:
    """Whether the daemon has it, or is about to: then it takes more than our own word to cancel it."""
    return getattr(future, "item", None) is not None


@pytest.mark.alone
def test_a_call_that_is_canceled_while_it_is_sent_does_not_run(client: Client, tmp_path: Path) -> None:
    gate, ran = tmp_path / "gate", tmp_path / "ran"
    with Executor(client, max_workers=1, job=CLAIMED) as calls:
        wait_until(calls.submit(work.wait_for, str(gate)).running)
        future = calls.submit(work.append, str(ran), "x" * (100 << 20))  # so large that packing it takes a while
        wait_until(lambda: not calls._desk._waiting)
        assert future.cancel()
        gate.touch()
    assert future.cancelled() and not ran.exists()


def wait_until(what: Callable[[], object]) -> None:
    """Waits until something is true; an event that nobody tells of."""
    until(what, "it did not come to be")
