"""A task that the kernel kills for lack of memory is `oom`: others are unharmed, a retry claims more."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mill import Mill

LIMIT_MB = 64
EAT = "import sys; print(len(bytearray(int(sys.argv[1]) << 20)))"


@pytest.fixture
def cage(tmp_path: Path) -> Iterator[Path]:
    """A memory cgroup that tasks can put themselves into (v1 or v2); root alone may make one."""
    for parent, limit in ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (own_group(), "memory.max")):
        group = parent / f"gristmill-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / limit).exists():
                (group / limit).write_text(str(LIMIT_MB << 20))
                yield group
                return
        finally:
            group.rmdir()
    pytest.skip("no memory cgroup can be made here")


def own_group() -> Path:
    """Our cgroup v2."""
    path = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), "")
    return Path("/sys/fs/cgroup" + path)


def hungry(mill: Mill, cage: Path, run: str, more: str = "") -> None:
    """Drops a job of three tasks, the second of which needs more than the cage holds."""
    (mill.base / "eat.py").write_text(EAT)
    command = f"echo $$ > {cage}/cgroup.procs; sleep 0.1; {run} {sys.executable} eat.py {{mb}}; exit $?"
    mill.drop("hungry.toml", f'command = "{command}"\n[grid]\nmb = [8, 256, 9]\n{more}')


@pytest.mark.parametrize("run", ["exec", ""], ids=["the task itself", "a child of its shell"])
def test_a_task_killed_for_lack_of_memory_is_told_from_any_other_death(turning: Mill, cage: Path, run: str) -> None:
    turning.drop("other.toml", 'command = "while ! test -e go; do sleep 0.05; done"\n')
    hungry(turning, cage, run)
    job = turning.ended("hungry")
    tasks = turning.tasks("hungry")
    assert [task["state"] for task in tasks] == ["done", "oom", "done"]
    assert tasks[1]["reason"].startswith("killed for lack of memory at ")
    assert (tasks[1]["signal"], tasks[1]["exit_code"]) == ((9, None) if run else (None, 137))
    assert (job["items_done"], job["items_failed"]) == (2, 1)
    assert turning.job("other")["state"] == "running"
    assert " oom " in turning.grist("status", "hungry")
    (turning.base / "go").touch()
    assert turning.ended("other")["state"] == "done"


def test_a_retry_after_it_claims_more(turning: Mill, cage: Path) -> None:
    """The claim of 1 GB is known to be too little after the first death: the next try is taken to need half more."""
    hungry(turning, cage, "exec", '[resources]\nmemory = "1 GB"\n'
                                  '[retry]\nattempts = 3\nbackoff = "10ms"\non = ["oom"]\n')
    job = turning.ended("hungry")
    assert job["memory_need_bytes"] == 1_000_000_000 * 1.5**3
    tasks = turning.tasks("hungry")
    assert [(task["state"], task["attempts"]) for task in tasks] == [("done", 1), ("oom", 3), ("done", 1)]


def test_a_kill_by_hand_is_no_lack_of_memory(turning: Mill) -> None:
    turning.drop("killed.cmds", "sleep 0.2; kill -9 $$\nsleep 0.2; exit 137\n")
    turning.ended("killed")
    assert [task["state"] for task in turning.tasks("killed")] == ["failed", "failed"]
    assert [task["reason"] for task in turning.tasks("killed")] == ["SIGKILL", "exit 137"]
