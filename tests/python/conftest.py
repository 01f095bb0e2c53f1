"""The fixtures of tests that use Gristmill from Python."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import ProcessPoolExecutor

import pytest

from gristmill import Client, Executor
from tests.mill import Mill

CLAIMED = {"resources": {"memory": "30 MB"}}
"""Of calls that claim no memory one runs alone first."""


@pytest.fixture
def client(turning: Mill) -> Client:
    """A client of that daemon."""
    return Client(turning.jobs, turning.state)


@pytest.fixture
def calls(client: Client) -> Iterator[Executor]:
    """An executor of two workers."""
    with Executor(client, max_workers=2, job=CLAIMED) as made:
        yield made


@pytest.fixture(params=["gristmill", "processes"])
def pool(request: pytest.FixtureRequest) -> Iterator[futures.Executor]:
    """Ours and the standard one, which are to behave alike."""
    if request.param == "gristmill":
        yield request.getfixturevalue("calls")
        return
    with ProcessPoolExecutor(2) as made:
        yield made
