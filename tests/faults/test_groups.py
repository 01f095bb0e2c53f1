"""Claims enforced by the kernel, where a part of the control group tree (v2) can be had; skipped elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.supervisor.edge import groups
from tests.mill import Mill

EAT = """\
import subprocess, sys
if sys.argv[1] == "child":
    sys.exit(subprocess.call([sys.executable, __file__, sys.argv[2]]) != 0)
len(bytearray(int(sys.argv[1]) << 20))
"""


def start_in(mill: Mill, group: Path) -> None:
    """Starts the daemon as a process of this group."""
    mill.start("--limit", "2", preexec_fn=lambda: (group / "cgroup.procs").write_text("0"))


def cleared(group: Path) -> bool:
    """Removes a group with those below it; False while a process is on its way out."""
    try:
        for folder in (*group.glob("*/"), group):
            folder.rmdir()
    except OSError:
        return False
    return True


@pytest.fixture
def given(mill: Mill, tmp_path: Path) -> Iterator[Path]:
    """A group that is the daemon's to divide; the mill's daemon is started in it."""
    mount = groups.hierarchies().get("")
    if mount is None:
        pytest.skip("no control groups of version 2")
    own = mount / groups.memberships("self").get("", "/").lstrip("/")
    above = next((at for at in (own, own.parent) if "memory" in groups.word(at / "cgroup.subtree_control")), None)
    if above is None:
        pytest.skip("the memory controller is handed down neither to groups below ours nor beside it")
    group = above / f"gristmill-test-{os.getpid()}-{tmp_path.name}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no group can be made here: {error.strerror}")
    try:
        start_in(mill, group)
        yield group
        mill.__exit__()
    finally:
        mill.until(lambda: cleared(group), "something lives in the group still")


def test_a_task_is_held_to_what_it_claims_and_a_retry_has_more(mill: Mill, given: Path) -> None:
    (mill.base / "eat.py").write_text(EAT)
    claims = 'name = "{name}"\ncommand = "{python} eat.py {what}"\n[resources]\nmemory = "100 MB"\n'
    again = '[retry]\nattempts = 3\nbackoff = "10ms"\non = ["oom"]\n'
    jobs = (("small", "8", ""), ("large", "300", ""), ("deep", "child 300", ""), ("more", "140", again))
    for name, what, more in jobs:
        mill.drop(f"{name}.toml", claims.format(name=name, what=what, python=sys.executable) + more)
    states = {name: mill.ended(name)["state"] for name, _, _ in jobs}
    assert states == {"small": "done", "large": "failed", "deep": "failed", "more": "done"}
    for name in ("large", "deep"):
        (task,) = mill.tasks(name)
        assert task["state"] == "oom"
        assert task["reason"].endswith("held to what it claims")
    assert mill.tasks("more")[0]["attempts"] == 2
    assert mill.tasks("deep")[0]["exit_code"] == 1  # it took its child's death for a failure of its own


def test_nothing_of_a_canceled_task_forks_away(mill: Mill, given: Path) -> None:
    (mill.base / "many.sh").write_text(
        "trap '' TERM\nfor i in 1 2 3; do (while :; do sleep 1000 & sleep 0.05; done) & done\ntouch runs\nwait\n"
    )
    mill.drop("many.toml", 'command = "sh many.sh"\ngrace = "100ms"\n')
    mill.until((mill.base / "runs").exists, "the task did not begin")
    mill.grist("cancel", "many")
    assert mill.ended("many")["state"] == "canceled"
    living = [pid for leaf in given.glob("grist-*/") for pid in groups.word(leaf / "cgroup.procs").split()]
    assert {Path(f"/proc/{pid}/comm").read_text()[:6] for pid in living} <= {"grist-"}


def test_leaves_go_with_their_workers_and_a_task_outlives_its_daemon_in_its_own(mill: Mill, given: Path) -> None:
    mill.drop("long.toml", 'command = "touch runs; while ! test -e go; do sleep 0.05; done"\n')
    mill.until((mill.base / "runs").exists, "the task did not begin")
    mill.kill()
    leaf = next(given.glob("grist-*/"))
    assert groups.word(leaf / "cgroup.procs")
    start_in(mill, given / "daemon")
    (mill.base / "go").touch()
    assert mill.ended("long")["state"] == "done"
    mill.drop("next.toml", 'command = "true"\n')
    mill.ended("next")
    mill.until(lambda: not leaf.exists(), "the leaf of a worker that has gone stays")
