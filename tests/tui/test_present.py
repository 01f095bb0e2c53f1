"""Updates become what the screens know."""

import subprocess
import sys

import pytest

from gristmill.supervisor.core.protocol import LimitView, PastView
from gristmill.tui.present import (
    JOB_ORDERS,
    WORKER_ORDERS,
    Filter,
    GapError,
    Mill,
    fold,
    next_limit,
    pick_jobs,
    pick_workers,
)

from .stage import Daemon, job, worker


@pytest.fixture
def talk(tmp_path):  # type: ignore[no-untyped-def]
    """A daemon's tongue, without its socket."""
    return Daemon(tmp_path / "s")


def snapshot(talk: Daemon) -> Mill:
    return fold(None, talk.update("snapshot", [job(1, "one"), job(2, "two", "done")]))


def test_a_delta_changes_only_what_it_names(talk: Daemon) -> None:
    before = snapshot(talk)
    talk.seq += 1
    after = fold(before, talk.update("delta", [job(2, "two", "failed")], removed=[1]))
    assert {number: one.state for number, one in after.jobs.items()} == {2: "failed"}
    assert {number: one.state for number, one in before.jobs.items()} == {1: "running", 2: "done"}
    assert len(after.history) == 2


def test_a_gap_voids_what_was_known(talk: Daemon) -> None:
    before = snapshot(talk)
    talk.seq += 2
    with pytest.raises(GapError):
        fold(before, talk.update("delta", []))
    with pytest.raises(GapError):
        fold(None, talk.update("delta", []))


def test_another_snapshot_starts_over_but_keeps_the_graphs(talk: Daemon) -> None:
    before = snapshot(talk)
    talk.seq = 900
    after = fold(before, talk.update("snapshot", [job(7, "seven")]))
    assert list(after.jobs) == [7]
    assert len(after.history) == 2


def test_a_daemon_fills_the_graphs_of_a_screen_that_has_just_opened(talk: Daemon) -> None:
    update = talk.update("snapshot", [])
    update.history = [PastView(time=update.time - age, cpu_percent=50, memory_percent=25, busy=1, workers=2)
                      for age in (3, 2, 1)]  # fmt: skip
    mill = fold(None, update)
    assert [(past.cpu, past.memory, past.busy, past.limit) for past in mill.history[:3]] == [(0.5, 0.25, 1, 2)] * 3
    assert len(mill.history) == 4
    again = fold(mill, update)
    assert len(again.history) == 4, "the same seconds twice"


def test_the_queue_is_what_is_left_and_not_in_hand(talk: Daemon) -> None:
    talk.workers = [worker(1, "1/3", "one", count=5), worker(2)]
    mill = fold(None, talk.update("snapshot", [job(1, "one", items=100, items_done=60, items_failed=10),
                                               job(2, "two", "canceled", items=50)]))  # fmt: skip
    assert (mill.queued, mill.failed) == (25, 10)


def test_open_jobs_come_first_then_the_newest_ended() -> None:
    jobs = [job(1, "a", "done", ended_at=50.0), job(2, "b", "held"), job(3, "c", "failed", ended_at=90.0),
            job(4, "d", "queued"), job(5, "e")]  # fmt: skip
    assert [one.id for one in pick_jobs(jobs, JOB_ORDERS[0], Filter())] == [5, 4, 2, 3, 1]


@pytest.mark.parametrize(("text", "names"), [
    ("", ["ablate", "sweep"]), ("swe", ["sweep"]), ("state:fail", ["ablate"]), ("!state:fail", ["sweep"]),
    ("cuda", ["ablate"]), ("cuda !abl", []), ("SWEEP", ["sweep"]), ("!", ["ablate", "sweep"]),
])  # fmt: skip
def test_filters(text: str, names: list[str]) -> None:
    jobs = [job(1, "ablate", "failed", reason="CUDA out of memory"), job(2, "sweep")]
    assert sorted(one.name for one in pick_jobs(jobs, JOB_ORDERS[2], Filter(text))) == names


def test_idle_workers_come_last_in_every_order() -> None:
    workers = [worker(1), worker(2, "1/1", "a", cpu_percent=5.0), worker(3, "1/2", "a", cpu_percent=90.0)]
    assert [one.worker for one in pick_workers(workers, WORKER_ORDERS[1], Filter())] == [3, 2, 1]


@pytest.mark.parametrize(("mode", "now", "wanted", "step", "asked"), [
    ("auto", 6, None, -1, 5), ("auto", 6, None, +1, 7), ("fixed", 5, 4, -1, 3), ("fixed", 1, None, -1, 1),
    ("fixed", 8, None, +1, None), ("auto", 8, None, +1, 9), ("fixed", 7, 8, +1, None),
])  # fmt: skip
def test_the_cap_goes_one_step_and_back_to_automatic(mode: str, now: int, wanted: int | None, step: int,
                                                     asked: int | None) -> None:  # fmt: skip
    limit = LimitView(workers=now, busy=1, reason="", mode=mode)  # type: ignore[arg-type]
    assert next_limit(limit, 8.0, wanted, step) == asked


@pytest.mark.parametrize("module", ["present", "rows", "columns", "plot", "marks", "pages", "why", "curve"])
def test_what_is_pure_imports_no_textual(module: str) -> None:
    code = f"import sys, gristmill.tui.{module}; sys.exit(any(name.startswith('textual') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
