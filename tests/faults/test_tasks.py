"""What tasks may do, and what is done to them: ends that nobody saw, deaf children, leftovers, reused pids."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from gristmill.supervisor.edge import survivors
from gristmill.supervisor.edge.locks import holder
from tests.mill import DEADLINE, Mill
from tests.processes import alive, slay

DEAF = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:                       # a child that is deaf too
    open(sys.argv[1] + ".child", "w").write(str(os.getpid()))
    while True:
        time.sleep(60)
if os.fork() == 0:                       # a daemon: forked twice, a session of its own, nothing left in its environment
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, "-c", '''
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1] + ".daemon", "w").write(str(os.getpid()))
while True:
    time.sleep(60)
''', sys.argv[1]], {})
    os._exit(0)
while True:
    time.sleep(60)
"""


def pid_in(mill: Mill, name: str) -> int:
    """The pid that a task has written into a file."""
    path = mill.base / name
    return int(mill.until(lambda: path.exists() and path.read_text(), f"{name} was not written"))


def worker_of(pid: int) -> int:
    """The worker of a task whose own process is `pid`."""
    found = survivors.read(pid)
    assert found is not None
    return found.parent


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_the_daemons_whole_group_leaves_tasks_alone(mill: Mill, number: int) -> None:
    mill.start("--limit", "2", process_group=0)
    mill.drop_claimed(
        "two.toml", 'command = "while ! test -e go; do sleep 0.05; done"\n[items]\ntotal = 2\nper_task = 1\n'
    )
    pids = {task["pid"] for task in mill.running("two", 2)}
    assert mill.process is not None
    os.killpg(mill.process.pid, number)
    if number == signal.SIGHUP:
        assert mill.status()["daemon"]["state"] == "ok"
    else:
        mill.process.wait(DEADLINE)
        mill.kill()
        mill.start("--limit", "2")
    assert {task["pid"] for task in mill.running("two", 2)} == pids
    (mill.base / "go").touch()
    assert mill.ended("two")["items_done"] == 2


@pytest.mark.parametrize("how", ["cancel", "cancel after a kill of the daemon", "timeout", "timeout without a daemon"])
def test_cancel_and_timeout_end_deaf_children_and_daemons_that_hide(mill: Mill, how: str) -> None:
    mill.start("--limit", "2")
    (mill.base / "deaf.py").write_text(DEAF)
    timeout = 'timeout = "10s"\n' if "timeout" in how else ""  # by then it has started all that it starts
    mill.drop("deaf.toml", f'command = ["{sys.executable}", "deaf.py", "pid"]\ngrace = "300ms"\n{timeout}')
    (task,) = mill.running("deaf")
    pids = [task["pid"], pid_in(mill, "pid.child"), pid_in(mill, "pid.daemon")]
    if "daemon" in how:
        mill.kill()
        if "timeout" not in how:
            mill.start()
            mill.running("deaf")
    if "cancel" in how:
        mill.grist("cancel", "deaf")
    mill.until(lambda: not any(alive(pid) for pid in pids), f"{pids} still live")
    if how == "timeout without a daemon":
        mill.start()
    assert mill.ended("deaf")
    (ended,) = mill.tasks("deaf")
    assert ended["state"] == ("timeout" if "timeout" in how else "canceled")


def test_what_a_task_leaves_running_is_ended_with_it(turning: Mill) -> None:
    turning.drop("leaves.toml", "command = \"(trap '' TERM; exec sleep 1000) & echo $! > left; exit 3\"\n")
    assert turning.ended("leaves")["state"] == "failed"
    assert not alive(pid_in(turning, "left"))
    assert turning.tasks("leaves")[0]["exit_code"] == 3


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_task_leaves_running_is_waited_for_if_the_job_says_so(turning: Mill, killed: bool) -> None:
    turning.drop("waits.toml", """leftovers = "wait"
command = "(echo begun; while ! test -e go; do sleep 0.05; done; echo end) & echo $! > left; exit 3"
""")
    left = pid_in(turning, "left")
    turning.running("waits")
    if killed:
        turning.kill()
        turning.start()
        turning.running("waits")
    view = next(worker for worker in turning.status()["workers"] if worker["task"])
    assert view["task"] == f"{turning.job('waits')['id']}/0", "what is left is not charged to its task"
    (turning.base / "go").touch()
    turning.ended("waits")
    assert turning.tasks("waits")[0]["exit_code"] == 3
    assert turning.grist("log", "waits") == "begun\nend\n"
    assert not alive(left)


def test_an_end_by_signal_9_is_not_exit_137(turning: Mill) -> None:
    turning.drop("ends.cmds", "kill -9 $$\nexit 137\nkill -TERM $$\nexit 143\nexit 0\nexit 255\n")
    turning.ended("ends")
    ends = [(task["exit_code"], task["signal"]) for task in turning.tasks("ends")]
    assert ends == [(None, 9), (137, None), (None, 15), (143, None), (0, None), (255, None)]
    assert {task["state"] for task in turning.tasks("ends")} == {"failed", "done"}


# ── a killed worker ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["alone", "with the spawner and the daemon"])
def test_a_task_of_a_killed_worker_goes_on_is_watched_and_is_lost_when_it_ends(turning: Mill, how: str) -> None:
    turning.drop("on.toml", 'command = "echo words; while ! test -e go; do sleep 0.05; done; echo last words"\n')
    (task,) = turning.running("on")
    worker = worker_of(task["pid"])
    spawner = worker_of(worker)
    if how != "alone":
        turning.kill()
        slay(spawner)
    os.kill(worker, signal.SIGKILL)
    if how != "alone":
        turning.start("--limit", "2")
    turning.until(lambda: "worker was killed" in turning.tasks("on")[0]["reason"], "not said")
    assert alive(task["pid"])
    shown = next(worker for worker in turning.status()["workers"] if worker["task"])
    assert (shown["pid"], shown["adopted"]) == (task["pid"], True)
    (turning.base / "go").touch()
    job = turning.ended("on")
    (lost,) = turning.tasks("on")
    assert (job["state"], lost["state"], lost["attempts"]) == ("failed", "lost", 1)
    assert "how it ended is not known" in lost["reason"]
    assert turning.grist("log", "on") == "words\nlast words\n"


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_a_task_of_a_killed_worker_is_ended_on_request_and_by_its_timeout(turning: Mill, how: str) -> None:
    (turning.base / "deaf.py").write_text(DEAF)
    timeout = 'timeout = "10s"\n' if how == "timeout" else ""  # by then it has started all that it starts
    turning.drop("deaf.toml", f'command = ["{sys.executable}", "deaf.py", "pid"]\ngrace = "300ms"\n{timeout}')
    (task,) = turning.running("deaf")
    pids = [task["pid"], pid_in(turning, "pid.child")]
    hidden = pid_in(turning, "pid.daemon")
    os.kill(worker_of(task["pid"]), signal.SIGKILL)
    try:
        turning.until(lambda: "worker was killed" in turning.tasks("deaf")[0]["reason"], "not said")
        if how == "cancel":
            turning.grist("cancel", "deaf")
        assert turning.ended("deaf")
        assert not any(alive(pid) for pid in pids)
    finally:
        slay(hidden)  # it had hidden from all but its worker


def test_a_stranger_with_the_pid_of_a_lost_task_is_neither_adopted_nor_signaled(turning: Mill) -> None:
    turning.drop("old.toml", 'command = ["sleep", "1000"]\n')
    (task,) = turning.running("old")
    run = next(path for path in (turning.state / "runs").iterdir() if holder(path / "lock"))
    turning.until(lambda: b'{"s":' in (run / "journal").read_bytes(), "its start is not written down")
    turning.kill()
    worker = worker_of(task["pid"])
    os.kill(worker, signal.SIGKILL)
    os.kill(task["pid"], signal.SIGKILL)
    turning.until(lambda: not (alive(worker) or alive(task["pid"])), "still there")
    with stranger_at(task["pid"]) as stranger:
        try:
            if stranger.pid != task["pid"]:  # where that can't be forced, the record names the stranger's
                rename(run / "journal", task["pid"], stranger.pid)
            turning.start()
            assert turning.ended("old")["state"] == "failed"
            assert turning.tasks("old")[0]["state"] == "lost"
            assert stranger.poll() is None, "a stranger was signaled"
        finally:
            stranger.kill()


def stranger_at(pid: int) -> subprocess.Popen[bytes]:
    """A process of somebody else's, with this pid where the kernel lets us choose."""
    with contextlib.suppress(PermissionError):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
    return subprocess.Popen(["sleep", "1000"])


def rename(path: Path, old: int, new: int) -> None:
    """Replaces the pid in a journal's record of a start."""
    lines = path.read_bytes().split(b"\n")
    for at, line in enumerate(lines):
        if b'{"s":' in line:
            body = line.partition(b" ")[2].replace(b'"pid":%d' % old, b'"pid":%d' % new)
            lines[at] = b"%08x %s" % (zlib.crc32(body), body)
    path.write_bytes(b"\n".join(lines))
