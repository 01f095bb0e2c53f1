"""`grist shutdown` as it is typed: what it says while it waits, and what goes on when nobody waits any longer."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from gristmill.supervisor.cli.shutdown import Teller
from gristmill.supervisor.edge import locks
from tests.mill import DEADLINE, Mill

WAITING = 'command = "while ! test -e go{index}; do sleep 0.05; done"\n[items]\ntotal = 2\nper_task = 1\n'


def reap(mill: Mill) -> int:
    """The daemon's exit code, once it has ended by itself."""
    assert mill.process is not None and mill.process.stdout is not None
    code = mill.process.wait(DEADLINE)
    mill.process.stdout.close()
    mill.process = None
    return code


def test_without_a_daemon_it_says_so_with_code_3(tmp_path: Path) -> None:
    with Mill(tmp_path) as mill:
        for how in ([], ["--drain"], ["--kill"], ["--no-wait"]):
            assert "no daemon runs for this jobs folder" in mill.grist("shutdown", *how, code=3)


def test_a_plain_one_waits_until_the_daemon_is_gone_and_leaves_tasks_running(turning: Mill) -> None:
    turning.drop_claimed("a.toml", WAITING)
    pids = [task["pid"] for task in turning.running("a", 2)]
    assert "2 running tasks go on without it" in turning.grist("shutdown")
    assert locks.holder(turning.state / "lock") is None
    assert reap(turning) == 0
    assert all(Path("/proc", str(pid)).exists() for pid in pids)
    turning.start()
    assert {task["pid"] for task in turning.running("a", 2)} == set(pids)


def test_a_drain_says_what_it_waits_for_as_that_changes(turning: Mill) -> None:
    turning.drop_claimed("train.toml", WAITING)
    turning.running("train", 2)
    drain = turning.spawn("shutdown", "--drain", stdout=subprocess.PIPE)
    assert drain.stdout is not None
    with drain.stdout as said:
        assert "stops when 2 running tasks have ended" in said.readline()
        assert said.readline().startswith("2 running tasks left: train 2 – 00:")
        (turning.base / "go0").touch()
        assert said.readline().startswith("1 running task left: train 1 – 00:")
        (turning.base / "go1").touch()
        assert said.read() == ""
    assert drain.wait(DEADLINE) == 0
    assert locks.holder(turning.state / "lock") is None
    assert reap(turning) == 0


def hear_interrupts() -> None:
    """Undoes what a shell does to the programs that it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_an_interrupted_wait_leaves_the_drain_going_and_says_so(turning: Mill) -> None:
    turning.drop_claimed("a.toml", WAITING)
    turning.running("a", 2)
    turning.drop("never.toml", 'command = "touch started"\n')
    drain = turning.spawn("shutdown", "--drain", stdout=subprocess.PIPE, preexec_fn=hear_interrupts)
    assert drain.stdout is not None
    with drain.stdout as said:
        said.readline()
        assert "2 running tasks left" in said.readline()
        drain.send_signal(signal.SIGINT)
        assert "the drain goes on" in said.read()
    assert drain.wait(DEADLINE) == 130
    assert "Traceback" not in turning.errors.read_text()
    assert "draining" in turning.status()["daemon"]["reason"]
    for name in ("go0", "go1"):
        (turning.base / name).touch()
    assert reap(turning) == 0
    assert not (turning.base / "started").exists()


def test_a_drain_can_be_cut_short_and_its_tasks_go_on(turning: Mill) -> None:
    turning.drop_claimed("a.toml", WAITING)
    pids = [task["pid"] for task in turning.running("a", 2)]
    assert "stops when 2 running tasks" in turning.grist("shutdown", "--drain", "--no-wait")
    turning.until(lambda: "draining" in turning.status()["daemon"]["reason"], "draining is not shown")
    turning.grist("shutdown")
    assert reap(turning) == 0
    assert all(Path("/proc", str(pid)).exists() for pid in pids)
    turning.start()


def test_a_drain_with_nothing_running_ends_at_once(turning: Mill) -> None:
    assert "left" not in turning.grist("shutdown", "--drain")
    assert reap(turning) == 0


def test_kill_ends_the_tasks_first_and_waits_for_those_that_are_deaf(turning: Mill) -> None:
    deaf = "trap '' TERM; echo deaf; while :; do sleep 0.1; done"
    turning.drop("deaf.toml", f'command = "{deaf}"\ngrace = "3s"\n')
    (task,) = turning.running("deaf")
    turning.until(lambda: "deaf" in turning.grist("log", "deaf"), "the trap is not set")
    said = turning.grist("shutdown", "--kill")
    assert "1 running task is told to end" in said
    assert "1 running task left: deaf 1" in said
    assert not Path("/proc", str(task["pid"])).exists()
    assert reap(turning) == 0


def test_no_wait_returns_while_the_daemon_still_drains(turning: Mill) -> None:
    turning.drop_claimed("a.toml", WAITING)
    turning.running("a", 2)
    turning.grist("shutdown", "--drain", "--no-wait")
    assert turning.process is not None
    assert locks.holder(turning.state / "lock") == turning.process.pid
    for name in ("go0", "go1"):
        (turning.base / name).touch()
    assert reap(turning) == 0


def test_drain_and_kill_together_are_a_slip(turning: Mill) -> None:
    assert "not allowed with" in turning.grist("shutdown", "--drain", "--kill", code=2)
    assert turning.process is not None
    assert os.getpgid(turning.process.pid)  # it still runs
    assert turning.status()["daemon"]["state"] == "ok"


def test_lines_come_when_something_changes_and_seldom_otherwise() -> None:
    teller = Teller(began=100.0)

    def jobs(*counts: int) -> list[dict[str, object]]:
        return [{"name": f"job{number}", "tasks_running": count} for number, count in enumerate(counts)]

    assert teller.tell(jobs(3), 101) == "3 running tasks left: job0 3 – 00:01 so far, Ctrl-C leaves them to it"
    assert teller.tell(jobs(2), 102) == "", "too soon after the last"
    assert teller.tell(jobs(2), 103).startswith("2 running tasks left")
    assert teller.tell(jobs(2), 162) == "", "nothing new"
    assert "01:04 so far" in teller.tell(jobs(2), 164)
    assert teller.tell(jobs(), 400) == "", "the daemon is about to go"
    assert "job0 1, job1 1, job2 1 and 2 more jobs" in teller.tell(jobs(1, 1, 1, 1, 1), 500)
    assert "\x1b" not in teller.tell([{"name": "\x1b[2J", "tasks_running": 1}], 600)
