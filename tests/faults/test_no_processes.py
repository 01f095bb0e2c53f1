"""No more processes, no more open files: nothing is failed for it, nothing spins, all run later."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path

import pytest

from gristmill.supervisor.edge import survivors
from tests.faults.shim import Shim
from tests.faults.test_upgrade import install
from tests.mill import Mill
from tests.processes import children, slay

WORK = """command = "echo {index} >> done; sleep 0.02"
[items]
total = 60
per_task = 1
"""
HELD_FOR_S = 3.0
"""How long a fault lasts while its cost is measured."""
MOST_CPU_S = 1.5
"""What the daemon may use of that; one that spins uses all of it."""


def check_all_run(mill: Mill, name: str = "work") -> None:
    job = mill.ended(name)
    assert (job["state"], job["items_done"], job["items_failed"]) == ("done", 60, 0)
    assert {task["attempts"] for task in mill.tasks(name)} == {1}
    assert sorted(map(int, (mill.base / "done").read_text().split())) == list(range(60))
    mill.until(lambda: mill.status()["daemon"]["state"] == "ok", "the state is not left by itself")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / survivors.TICKS


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOMEM])
@pytest.mark.parametrize("role", ["worker", "daemon"])
def test_no_more_processes(mill: Mill, shim: Shim, code: int, role: str) -> None:
    """In the role `worker` neither spawner nor workers can fork; in that of the daemon it can't start a spawner."""
    shim.act_in(role)
    mill.env.update(shim.env)
    refused = shim.fail(code, "fork")
    mill.start("--limit", "4")
    assert mill.process is not None
    mill.drop("work.toml", WORK)
    held = mill.until(lambda: (d := mill.ask("status")["daemon"])["state"] == "held" and d, "not held")
    assert held["conditions"][0]["kind"] == "processes"
    assert held["reason"].startswith("processes: ")
    before, hits = cpu_s(mill.process.pid), shim.hits(refused)
    mill.after(HELD_FOR_S)
    assert cpu_s(mill.process.pid) - before < MOST_CPU_S
    assert shim.hits(refused) - hits < 20 * HELD_FOR_S, "it is tried again and again"
    assert mill.ask("status")["daemon"]["state"] == "held", "it is forgotten while it lasts"
    shim.heal(refused)
    check_all_run(mill)


def test_no_more_processes_while_workers_run(mill: Mill, shim: Shim) -> None:
    mill.start("--limit", "4")
    mill.drop("work.toml", WORK)
    mill.until((mill.base / "done").exists, "nothing runs")
    refused = shim.fail(errno.EAGAIN, "fork")
    mill.until(lambda: mill.ask("status")["daemon"]["state"] == "held", "not held")
    shim.heal(refused)
    check_all_run(mill)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_no_more_files(mill: Mill, shim: Shim, code: int) -> None:
    mill.start("--limit", "4")
    assert mill.process is not None
    mill.drop("work.toml", WORK)
    mill.until((mill.base / "done").exists, "nothing runs")
    refused = shim.fail(code, "open", "create", "socket")
    mill.until(lambda: shim.hits(refused) > 3, "nobody has met it")
    before = cpu_s(mill.process.pid)
    mill.after(HELD_FOR_S)
    assert cpu_s(mill.process.pid) - before < MOST_CPU_S
    shim.heal(refused)
    check_all_run(mill)


def test_a_daemon_without_a_descriptor_left(mill: Mill) -> None:
    """The kernel's own refusal: the limit is lowered under a running daemon to what it has open."""
    mill.start("--limit", "4")
    assert mill.process is not None
    pid = mill.process.pid
    whole = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    mill.drop("first.toml", 'command = "true"\n')
    mill.ended("first")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, whole[1]))
    mill.drop("work.toml", WORK)
    mill.after(HELD_FOR_S)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, whole)
    check_all_run(mill)


def test_tasks_have_the_users_limit_of_open_files_and_not_the_daemons(mill: Mill) -> None:
    mill.start()
    mill.drop("limit.cmds", "ulimit -Sn\n")
    mill.ended("limit")
    assert int(mill.grist("log", "limit")) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert mill.process is not None
    soft, hard = resource.prlimit(mill.process.pid, resource.RLIMIT_NOFILE)
    assert soft == min(hard, 1 << 16)


def childless_spawner(mill: Mill) -> int:
    """One that has made a worker, which is gone."""
    mill.drop("first.cmds", "true\n")
    mill.ended("first")
    assert mill.process is not None
    (spawner,) = children(mill.process.pid)
    for worker in children(spawner):
        slay(worker)
    mill.until(lambda: not children(spawner), "its worker was not waited for")
    return spawner


def test_a_spawner_that_is_stopped_is_named_and_goes_on(mill: Mill) -> None:
    mill.start("--limit", "4")
    spawner = childless_spawner(mill)
    os.kill(spawner, signal.SIGSTOP)
    mill.drop("work.toml", WORK)
    words = mill.until(lambda: mill.condition("spawner"), "not said")["reason"]
    assert words.endswith(f"kill -CONT {spawner}")
    os.kill(spawner, signal.SIGCONT)
    check_all_run(mill)


def test_a_spawner_that_can_not_live_is_not_started_again_and_again(mill: Mill) -> None:
    """The program's files are gone, say: each spawner ends at once."""
    mill.env["PYTHONPATH"] = str(install(mill.base / "program", "1.0"))
    mill.start("--limit", "4")
    assert mill.process is not None
    spawner = childless_spawner(mill)
    worker = mill.base / "program" / "gristmill" / "supervisor" / "worker" / "cold.py"
    away = worker.rename(worker.with_suffix(".away"))
    os.kill(spawner, signal.SIGKILL)
    mill.drop("work.toml", WORK)
    words = "processes: the spawner ended at once (exit 1); daemon.log has its words"
    mill.until(lambda: mill.ask("status")["daemon"]["reason"] == words, "not said")
    assert mill.ask("status")["daemon"]["state"] == "held"
    before = cpu_s(mill.process.pid)
    mill.after(HELD_FOR_S)
    assert cpu_s(mill.process.pid) - before < MOST_CPU_S
    away.rename(worker)
    check_all_run(mill)
