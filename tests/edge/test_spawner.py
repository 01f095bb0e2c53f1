"""The daemon's end of the spawner: hundreds of workers asked for at once, of one that reads late or never again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gristmill.supervisor.edge.runs import Runs
from gristmill.supervisor.edge.spawner import Spawner
from tests.waiting import DEADLINE

MANY = 400
"""More than its socket has room for."""


@pytest.fixture
async def spawner(tmp_path: Path) -> AsyncIterator[Spawner]:
    """One that has been started, and stands still."""
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT, 0o600)
    made = Spawner(log, lambda message: None, lambda how: None)
    made.start()
    assert made.pid is not None
    os.kill(made.pid, signal.SIGSTOP)
    yield made
    if made.pid is not None:
        os.kill(made.pid, signal.SIGCONT)
    made.close()
    os.close(log)


def ask(spawner: Spawner, state: Path) -> list[socket.socket]:
    """Many workers, our ends of their sockets; the last thing that is asked for is something else."""
    runs = Runs(state)
    lines = [spawner.fork(runs.path(runs.create()), slot) for slot in range(MANY)]
    spawner.guard([])
    return lines


async def heard(line: socket.socket) -> bytes:
    """What comes first over a socket, nothing when nobody has its other end."""
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(line, 1 << 16), DEADLINE)


async def test_all_workers_come_however_many_are_asked_for_before_the_first_is_made(
    spawner: Spawner, tmp_path: Path
) -> None:
    lines = ask(spawner, tmp_path)
    assert spawner.pid is not None
    os.kill(spawner.pid, signal.SIGCONT)
    first = [await heard(line) for line in lines]
    assert all(words.startswith(b"{") for words in first), "each has said who it is"
    for line in lines:
        line.close()


async def test_those_that_a_dead_spawner_never_read_of_are_lost_at_once(spawner: Spawner, tmp_path: Path) -> None:
    lines = ask(spawner, tmp_path)
    assert spawner.pid is not None
    os.kill(spawner.pid, signal.SIGKILL)
    assert {await heard(line) for line in lines} == {b""}
    for line in lines:
        line.close()
