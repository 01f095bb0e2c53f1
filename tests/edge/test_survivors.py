"""What lives of a task whose worker was killed, as real processes: found by its mark or by pid and start, and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.supervisor.edge import survivors
from gristmill.supervisor.edge.survivors import Survivors
from tests.waiting import DEADLINE


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    """The mark of a run folder; what still carries it afterwards is ended."""
    made = f"GRIST_RESULT={tmp_path}/result"
    yield made
    for process in survivors.find(made, None, None):
        os.kill(process.pid, signal.SIGKILL)


def task(mark: str, script: str) -> subprocess.Popen[str]:
    """A task as a worker starts it, which says `ready` once it is set up."""
    name, _, value = mark.partition("=")
    made = subprocess.Popen(
        ["/bin/sh", "-c", script], env={"PATH": os.environ["PATH"], name: value}, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )
    assert made.stdout is not None
    with made.stdout:
        assert made.stdout.readline() == "ready\n"
    return made


async def gone(watched: Survivors, ended: asyncio.Event) -> None:
    await asyncio.wait([asyncio.ensure_future(ended.wait())], timeout=DEADLINE)
    assert ended.is_set(), "they still live"
    watched.close()


async def test_all_that_carries_the_mark_or_descends_from_it_is_found(mark: str) -> None:
    with task(mark, "sleep 1000 & env -i sleep 1000 & echo ready; wait") as made:
        found = survivors.find(mark, None, None)
        assert found[0].pid == made.pid
        assert len(found) == 3
        assert survivors.find("GRIST_RESULT=/another/run/result", None, None) == []
        os.killpg(made.pid, signal.SIGKILL)


async def test_a_pid_is_taken_for_the_task_only_with_its_start(mark: str) -> None:
    with task(mark, "echo ready; exec env -i sleep 1000") as made:
        process = survivors.read(made.pid)
        assert process is not None
        nobody = "GRIST_RESULT=/another/run/result"
        assert survivors.find(nobody, made.pid, process.start) == [process]
        assert survivors.find(nobody, made.pid, process.start + 1) == []
        made.kill()


async def test_an_end_that_is_asked_for_at_once_is_a_polite_one(mark: str, tmp_path: Path) -> None:
    script = f"trap 'echo heard > {tmp_path}/heard; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    with task(mark, script):
        ended = asyncio.Event()
        watched = Survivors(mark, None, None, ended.set)
        watched.end_task(grace=DEADLINE)
        await gone(watched, ended)
    assert (tmp_path / "heard").read_text() == "heard\n"


async def test_the_deaf_are_killed_after_their_grace(mark: str) -> None:
    with task(mark, "trap '' TERM; sleep 1000 & echo ready; wait") as made:
        ended = asyncio.Event()
        watched = Survivors(mark, None, None, ended.set)
        watched.end_task(grace=0.1)
        await gone(watched, ended)
        assert made.wait(DEADLINE) == -signal.SIGKILL


@pytest.mark.parametrize("wait", [False, True])
async def test_what_a_task_leaves_running_is_ended_with_it_or_waited_for(mark: str, tmp_path: Path, wait: bool) -> None:
    first, go = tmp_path / "first", tmp_path / "go"
    left = f"(while ! test -e {go}; do sleep 0.05; done; echo done > {tmp_path}/done) &"
    with task(mark, f"{left} echo ready; while ! test -e {first}; do sleep 0.05; done") as made:
        ended = asyncio.Event()
        watched = Survivors(mark, None, None, ended.set, wait)
        first.touch()
        assert await asyncio.to_thread(made.wait, DEADLINE) == 0
        if wait:
            assert not ended.is_set()
            go.touch()
        await gone(watched, ended)
    assert (tmp_path / "done").exists() == wait
