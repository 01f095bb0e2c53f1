"""Owners of open jobs that come and go, on a real record."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.spec import Items, Spec
from gristmill.supervisor.core.task import JobState
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.hopper import Hopper
from gristmill.supervisor.ledger import Ledger


@pytest.fixture
def program() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


async def opened(ledger: Ledger) -> Job:
    spec = Spec(name="calls", kind="command", command=("x",), cwd="/", items=Items(total=1, open="cancel"))
    return await ledger.accept("claim", "calls.toml", spec, b"", b"accepted/calls.toml")


async def test_what_is_to_be_told_goes_with_an_owner_that_ends_while_it_attaches(
    tmp_path: Path, program: subprocess.Popen[bytes]
) -> None:
    connection: Any = SimpleNamespace(pid=program.pid)
    with Store(tmp_path / "queue.db") as record:
        ledger = Ledger(record, lambda: 100.0, lambda: 0.5)
        hopper, job = Hopper(ledger, record, tmp_path), await opened(ledger)
        ask = hopper.operations
        attaching = asyncio.ensure_future(ask["attach"](connection, {"job": job.id, "awaits": [[0, 1]]}))
        await asyncio.sleep(0)  # it asks the record by now what has ended
        hopper._ended(job.id, True)
        await attaching
        await ledger.settled()
        assert job.state is JobState.CANCELED
        with pytest.raises(RequestError, match="is not attached"):
            await ask["ends"](connection, {"job": job.id, "timeout": 0.0})


async def test_a_job_that_there_never_was_has_no_owner(tmp_path: Path) -> None:
    connection: Any = SimpleNamespace(pid=1)
    with Store(tmp_path / "queue.db") as record:
        hopper = Hopper(Ledger(record, lambda: 100.0, lambda: 0.5), record, tmp_path)
        with pytest.raises(RequestError, match="no job 7"):
            await hopper.operations["attach"](connection, {"job": 7})
        with pytest.raises(RequestError, match="is not attached"):
            await hopper.operations["ends"](connection, {"job": 7, "timeout": 0.0})
