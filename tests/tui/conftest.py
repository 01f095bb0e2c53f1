"""What every test of the screens stands on: a daemon that listens, and the app on it at a size."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.core.protocol import TaskView
from gristmill.tui import link
from gristmill.tui.app import MillApp
from tests.waiting import DEADLINE

from .stage import Daemon, Eye, Opened, job, worker


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Screens that never take a daemon for silent while a test waits: those here speak only when a test has them."""
    monkeypatch.setattr(link, "SILENCE_S", 10 * DEADLINE)
    monkeypatch.setattr(link, "DEADLINE_S", 10 * DEADLINE)


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """A daemon that listens, with a few jobs and workers."""
    one = Daemon(tmp_path / "s")
    one.jobs = {3: job(3, "ablate", "failed", items_done=7, items_failed=33, ended_at=time.time(),
                       reason="5 alike: CUDA out of memory"),
                4: job(4, "sweep", eta_s=2880, tasks_running=2, items_failed=2),
                5: job(5, "pose-cv", "waiting", items_done=0, reason="task 1 needs 4.0G, 2.6G free")}  # fmt: skip
    one.workers = [worker(1, "4/17", "sweep"), worker(2, "4/18", "sweep", state="stopping", progress=None), worker(3)]
    one.tasks["4"] = [
        TaskView(id=f"4/{number}", number=number, start=number - 1, count=1,
                 state="done" if number < 9 else "failed" if number == 9 else "running" if number < 19 else "queued",
                 exit_code=0 if number < 9 else 1 if number == 9 else None, attempts=1 if number < 19 else 0,
                 reason="ValueError: no samples" if number == 9 else "", params={"fold": number})
        for number in range(1, 1001)]  # fmt: skip
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
def mill(daemon: Daemon) -> Opened:
    """Opens the app on that daemon, in a terminal of some size."""

    @contextlib.asynccontextmanager
    async def opened(width: int = 80, height: int = 24, **options: Any) -> AsyncIterator[Eye]:
        app = MillApp(str(daemon.path), "/home/me/jobs", **options)
        async with app.run_test(size=(width, height)) as pilot:
            yield Eye(app, pilot)

    return opened


@pytest.fixture(params=[(80, 24), (160, 45)], ids=["80x24", "160x45"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """The two sizes that must both look good."""
    return request.param  # type: ignore[no-any-return]
