"""What is written down, and how often: each commit is a wait for the disk."""

from __future__ import annotations

from gristmill import Client, Executor
from tests.faults.shim import Shim
from tests.mill import DEADLINE, Mill

CALLS = 40


def test_a_call_that_is_waited_for_takes_two_commits(mill: Mill, shim: Shim) -> None:
    """One takes it in and says that it starts, the other how it ended."""
    mill.start("--limit", "1")
    with Executor(Client(mill.jobs, mill.state), job={"resources": {"memory": "30 MB"}}) as pool:
        pool.submit(abs, 0).result(DEADLINE)
        shim.count(mill.state)
        for number in range(CALLS):
            assert pool.submit(abs, -number).result(DEADLINE) == number
        assert shim.seen("fsync") < 2.5 * CALLS
