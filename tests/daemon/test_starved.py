"""A niced worker on a machine that somebody else fills: the daemon is told by the kernel what it would use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.supervisor.core.governor import Running
from tests.daemon.recorded import steps
from tests.mill import Mill


@pytest.fixture
def crowded() -> Iterator[None]:
    """One core for all of us, and two that compute on it without end."""
    if Path("/proc/self/schedstat").read_bytes() == b"0 0 0\n":
        pytest.skip("this kernel does not count how long threads wait")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    burners = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"], start_new_session=True)
        for _ in range(2)
    ]
    try:
        yield
    finally:
        for one in burners:
            one.kill()
            one.wait()
        os.sched_setaffinity(0, before)


def seen(record: Path) -> list[Running]:
    """All that was recorded of running tasks."""
    return [task for step in steps(record) for task in step.reading.running]


@pytest.mark.alone
def test_what_a_starved_worker_would_use_is_recorded_and_learned(mill: Mill, crowded: None) -> None:
    record = mill.base / "record"
    mill.start("--record", str(record))
    mill.drop("burn.toml", 'command = "(while :; do :; done) & while :; do :; done"\n')
    mill.until(
        lambda: any(task.wanted == pytest.approx(2.0, abs=0.2) and task.cpu < 0.9 for task in seen(record)),
        "it is not told that two processes would use two cores",
    )

    def learned() -> list[float]:
        return [kind["cores"] or 0.0 for kind in json.loads(mill.grist("explain", "--json"))["kinds"]]

    mill.until(lambda: learned() == [pytest.approx(2.0, abs=0.3)], "it is not learned")
