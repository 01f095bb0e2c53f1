"""The life of the spawner: there while somebody needs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gristmill.supervisor import hiring
from gristmill.supervisor.core.conditions import Conditions
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.tools import Tools
from gristmill.supervisor.edge.runs import Runs
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.edge.survivors import read
from gristmill.supervisor.hiring import Hiring
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.workshops import Workshops
from tests.mill import DEADLINE
from tests.processes import alive, children


def no_calls(job: Job) -> Tools:
    raise NotImplementedError(f"job {job.id} is one of calls")


@contextlib.asynccontextmanager
async def opened(base: Path) -> AsyncIterator[tuple[Hiring, Callable[[], list[int]]]]:
    """And which spawners there are."""
    before = children(os.getpid())
    log = os.open(base / "log", os.O_WRONLY | os.O_CREAT, 0o600)
    with Store(base / "queue.db") as record:
        ledger = Ledger(record, time.time, random.random)
        conditions = Conditions(time.monotonic, time.time, lambda *_: None)
        made = Hiring(Runs(base), conditions, log, Workshops(ledger, no_calls, log, base), lambda: None)
        try:
            yield made, lambda: [pid for pid in children(os.getpid()) if pid not in before]
        finally:
            made.close()
            os.close(log)


async def hired(made: Hiring) -> socket.socket:
    """The socket of a worker that has said that it is there."""
    found = made.hire(1)
    assert found is not None
    _, sock = found
    assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 1 << 16), DEADLINE)
    return sock


async def gone(spawner: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while spawner in children(os.getpid()):  # until it was waited for
        assert time.monotonic() < deadline, "it stays"
        await asyncio.sleep(0.01)


async def test_a_spawner_is_there_from_the_first_worker_until_a_while_after_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as (made, spawners):
        assert not spawners()
        with await hired(made):
            (spawner,) = spawners()
            made.tick([], workers=1)
            made.tick([], workers=0)
            assert alive(spawner)
        monkeypatch.setattr(hiring, "IDLE_S", 0.0)
        made.tick([], workers=1)
        assert alive(spawner)
        made.tick([], workers=0)
        await gone(spawner)
        (await hired(made)).close()
        assert len(spawners()) == 1


async def test_one_that_is_to_let_stopped_processes_go_on_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hiring, "IDLE_S", 0.0)
    ours = read(os.getpid())
    assert ours is not None
    async with opened(tmp_path) as (made, spawners):
        assert made.guard([])
        assert not spawners(), "for nobody it is not started"
        assert made.guard([(ours.pid, ours.start)])
        made.tick([], workers=0)
        (spawner,) = spawners()
        assert made.guard([])
        made.tick([], workers=0)
        await gone(spawner)
