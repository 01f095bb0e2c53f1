"""joblib through a daemon: the same results, order and exceptions as with its own processes."""

from __future__ import annotations

import multiprocessing
import operator
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from joblib import Parallel, delayed

import gristmill
from gristmill import Client
from tests.mill import DEADLINE, Mill
from tests.python import work
from tests.python.conftest import CLAIMED


@pytest.fixture(params=["gristmill", "loky"])
def backend(request: pytest.FixtureRequest, client: Client) -> Iterator[str]:
    """Ours and joblib's own, which are to behave alike."""
    gristmill.register_joblib()
    own: dict[str, Any] = {"client": client, "job": CLAIMED} if request.param == "gristmill" else {}
    with joblib.parallel_config(request.param, n_jobs=2, **own):
        yield str(request.param)


def test_results_come_in_order(backend: str) -> None:
    assert Parallel()(delayed(work.add)(n, 1) for n in range(10)) == list(range(1, 11))
    assert Parallel()([]) == []


def test_each_parallel_is_a_job_of_its_own(turning: Mill, client: Client) -> None:
    gristmill.register_joblib()
    with joblib.parallel_config("gristmill", n_jobs=2, client=client, name="mine", job=CLAIMED):
        for _ in range(2):
            Parallel(batch_size=2)(delayed(work.same)(n) for n in range(4))
    for job in client.status():
        assert (job.name, client.wait(job, DEADLINE).state, job.items) == ("mine", "done", 2)
    assert len(client.status()) == 2


def test_an_exception_ends_it_and_comes_with_where_it_was_raised(backend: str) -> None:
    with pytest.raises(work.OddError, match="odd") as caught:
        Parallel()(delayed(work.fail)("odd") for _ in range(3))
    assert "in fail\n" in str(caught.value.__cause__)
    assert Parallel()(delayed(work.same)(n) for n in range(3)) == [0, 1, 2]


def test_the_parallel_goes_on_after_an_exception(client: Client) -> None:
    gristmill.register_joblib()
    with joblib.parallel_config("gristmill", n_jobs=2, client=client, job=CLAIMED), Parallel() as parallel:
        with pytest.raises(ValueError, match="not 2"):
            parallel(delayed(work.fail_at)(n, 2) for n in range(4))
        assert parallel(delayed(work.same)(n) for n in range(3)) == [0, 1, 2]


def test_a_generator_gives_results_as_they_come(backend: str) -> None:
    found = Parallel(return_as="generator")(delayed(work.same)(n) for n in range(5))
    assert list(found) == [0, 1, 2, 3, 4]
    found = Parallel(return_as="generator_unordered")(delayed(work.same)(n) for n in range(5))
    assert sorted(found) == [0, 1, 2, 3, 4]


def test_what_takes_too_long_is_a_timeout(backend: str, tmp_path: Path) -> None:
    with pytest.raises(multiprocessing.TimeoutError):
        Parallel(timeout=0.3)(delayed(work.wait_for)(str(tmp_path / "never"), 20) for _ in range(2))


def test_what_is_aborted_runs_no_longer(turning: Mill, client: Client, tmp_path: Path) -> None:
    gristmill.register_joblib()
    late = multiprocessing.TimeoutError
    with joblib.parallel_config("gristmill", n_jobs=2, client=client, job=CLAIMED), pytest.raises(late):
        Parallel(timeout=1)(delayed(work.wait_for)(str(tmp_path / "never")) for _ in range(2))
    assert turning.ended("joblib")["state"] == "canceled"
    assert {task["state"] for task in turning.tasks("joblib")} == {"canceled"}


def test_large_arrays_are_mapped_by_all_workers(backend: str) -> None:
    data = np.arange(500_000.0)
    found = Parallel(max_nbytes="1M")(delayed(look)(data) for _ in range(3))
    assert {(kind, bool(total == data.sum()), writeable) for kind, total, writeable in found} == {
        ("memmap", True, False)
    }
    assert Parallel(max_nbytes=None)(delayed(look)(data) for _ in range(2))[0][0] == "ndarray"


def look(data: Any) -> tuple[str, float, bool]:
    return type(data).__name__, float(data.sum()), data.flags.writeable


def test_nested_parallels_run_in_threads_and_then_not_at_all(backend: str) -> None:
    assert Parallel()(delayed(level)(2) for _ in range(2)) == [["ThreadingBackend", "SequentialBackend"]] * 2


def level(depth: int) -> list[str]:
    """The backends that calls below this one get."""
    kind = type(joblib.parallel.get_active_backend()[0]).__name__
    deeper = Parallel(n_jobs=2)(delayed(level)(depth - 1) for _ in range(2))[0] if depth > 1 else []
    return [kind, *deeper]


def test_one_parallel_inside_another_is_a_job_of_its_own(client: Client) -> None:
    gristmill.register_joblib()
    with joblib.parallel_config("gristmill", n_jobs=2, client=client, job=CLAIMED), Parallel(n_jobs=2) as outer:
        for _ in range(2):
            assert outer(delayed(work.same)(n) for n in range(3)) == [0, 1, 2]
            assert Parallel(n_jobs=2)(delayed(work.same)(n) for n in range(3)) == [0, 1, 2]


def test_a_call_that_names_the_backend_itself_waits_for_no_other_worker(client: Client) -> None:
    gristmill.register_joblib()
    with joblib.parallel_config("gristmill", n_jobs=2, client=client, job=CLAIMED):
        assert Parallel()(delayed(inside)("gristmill") for _ in range(2)) == [[0, 1, 2]] * 2


def inside(backend: str) -> list[int]:
    return list(Parallel(n_jobs=2, backend=backend)(delayed(work.same)(n) for n in range(3)))


def test_one_job_runs_here(backend: str) -> None:
    assert Parallel(n_jobs=1)(delayed(threading.get_ident)() for _ in range(2)) == [threading.get_ident()] * 2


def test_how_many_at_once(backend: str) -> None:
    assert joblib.effective_n_jobs(3) == 3
    assert joblib.effective_n_jobs(-1) == joblib.cpu_count()
    assert joblib.effective_n_jobs(-2) == max(1, joblib.cpu_count() - 1)
    with pytest.raises(ValueError, match="n_jobs == 0"):
        Parallel(n_jobs=0)(delayed(operator.neg)(1) for _ in range(2))


def test_minus_one_is_what_the_governor_gives(turning: Mill, client: Client, tmp_path: Path) -> None:
    gristmill.register_joblib()
    gates = [str(tmp_path / "gate")] * 4

    def open_gate() -> None:
        turning.running("joblib", 2)
        Path(gates[0]).touch()

    opener = threading.Thread(target=open_gate)
    opener.start()
    with joblib.parallel_config("gristmill", n_jobs=-1, client=client, job=CLAIMED):
        assert Parallel(batch_size=1, pre_dispatch="all")(delayed(work.wait_for)(gate) for gate in gates) == gates
    opener.join()


def test_threads_of_a_worker_are_bounded(client: Client) -> None:
    gristmill.register_joblib()
    with joblib.parallel_config("gristmill", n_jobs=2, inner_max_num_threads=3, client=client, job=CLAIMED):
        assert Parallel()(delayed(work.variable)("OMP_NUM_THREADS") for _ in range(2)) == ["3", "3"]
    with joblib.parallel_config("gristmill", n_jobs=2, client=client, job=CLAIMED):
        assert Parallel()(delayed(work.variable)("OMP_NUM_THREADS") for _ in range(2)) == ["1", "1"]
