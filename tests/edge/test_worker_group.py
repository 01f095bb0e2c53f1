"""A worker with a control group of its own, on a folder whose files are as the kernel has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.test_worker import Worker

FRESH = {"memory.max": "max", "memory.swap.max": "max", "cpu.weight": "100"}
BOUND = {"memory.max": "1000000", "memory.swap.max": "1000000", "cpu.weight": "400"}


@pytest.fixture
def group(tmp_path: Path) -> Path:
    path = tmp_path / "cg" / "grist-1"
    path.mkdir(parents=True)
    for name in (*FRESH, "cgroup.procs"):
        (path / name).touch()
    (path / "memory.events").write_text("oom 0\noom_kill 0\n")
    return path


@pytest.fixture
def worker(tmp_path: Path, group: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path, str(group))
    worker.context["bounds"] = FRESH
    worker.say({"context": worker.context, "job": 1})
    yield worker
    worker.close()


def test_a_worker_enters_it_and_writes_what_a_task_claims_once(worker: Worker, group: Path) -> None:
    worker.sh(0, "exit 0")
    assert worker.hear("e")["code"] == 0
    assert (group / "cgroup.procs").read_text() == "0"
    assert (group / "cpu.weight").read_text() == ""  # as it is already
    worker.sh(1, "exit 0", bounds=BOUND)
    worker.hear("e")
    assert {name: (group / name).read_text() for name in BOUND} == BOUND
    (group / "cpu.weight").write_text("")
    worker.sh(2, "exit 0", bounds=BOUND)
    worker.hear("e")
    assert (group / "cpu.weight").read_text() == ""
    worker.sh(3, "exit 0")
    worker.hear("e")
    assert (group / "memory.max").read_text().startswith("max")


@pytest.mark.parametrize(("script", "oom"), [("exit 1", True), ("exit 0", False)])
def test_who_dies_of_it_was_of_the_task_whatever_that_makes_of_it(
    worker: Worker, group: Path, script: str, oom: bool
) -> None:
    worker.sh(0, f"echo 'oom_kill 1' > {group}/memory.events; {script}", bounds=BOUND)
    end = worker.hear("e")
    assert end.get("oom", False) is oom
    assert end.get("text", "") == ("held to what it claims" if oom else "")
    worker.sh(1, "exit 1")
    assert "oom" not in worker.hear("e")


def test_one_that_can_not_be_entered_is_done_without(tmp_path: Path) -> None:
    worker = Worker(tmp_path, str(tmp_path / "gone"))
    try:
        worker.sh(0, "exit 0", bounds=BOUND)
        assert worker.hear("e")["code"] == 0
    finally:
        worker.close()
