"""Clocks that are set, a daemon that stands still, a disk that takes its time: no task is cut, none runs twice."""

from __future__ import annotations

import os
import signal
import statistics
import time

import pytest

from tests.faults.shim import Shim
from tests.mill import Mill

DAY = 86_400
WORK = """command = "echo $GRIST_TASK >> begun; while ! test -e go; do sleep 0.05; done; echo {index} >> done"
timeout = "5m"
[items]
total = 4
per_task = 1
[resources]
memory = "4 MiB"
"""


def check_all_done(mill: Mill) -> None:
    (mill.base / "go").touch()
    assert mill.ended("work")["items_done"] == 4
    assert [(task["state"], task["attempts"]) for task in mill.tasks("work")] == [("done", 1)] * 4
    assert len((mill.base / "begun").read_text().split()) == 4


def test_a_daemon_that_was_stopped_goes_on_and_says_so(turning: Mill) -> None:
    turning.drop("work.toml", WORK)
    turning.running("work", 2)
    assert turning.process is not None
    turning.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, turning.process.pid, os.WSTOPPED | os.WNOWAIT)
    turning.after(5)
    turning.process.send_signal(signal.SIGCONT)
    said = turning.until(lambda: turning.condition("stall"), "not said")
    assert not said["holds"]
    assert "stood still for" in turning.grist("status")
    check_all_done(turning)


@pytest.mark.parametrize("days", [-1, 400], ids=["a day back", "400 days forward"])
@pytest.mark.parametrize("restarted", [False, True], ids=["", "and the daemon is killed"])
def test_a_clock_that_is_set_cuts_and_reruns_nothing(mill: Mill, shim: Shim, days: int, restarted: bool) -> None:
    mill.start("--limit", "5")
    mill.drop("work.toml", WORK)
    mill.drop("again.toml", 'command = "test -e again || {{ touch again; exit 1; }}"\n'
                            '[resources]\nmemory = "4 MiB"\n[retry]\nattempts = 2\nbackoff = "4s"\n')
    mill.running("work", 2)
    mill.until(lambda: mill.job("again"), "not accepted")
    mill.until(lambda: (task := mill.tasks("again")[0])["attempts"] and task["state"] == "queued", "not tried")
    shim.shift_clock(days * DAY)
    if restarted:
        mill.kill()
        mill.start("--limit", "5")
    else:
        said = mill.until(lambda: mill.condition("clock"), "not said")
        assert ("back" if days < 0 else "forward") in said["reason"]
    assert mill.ended("again")["state"] == "done"
    check_all_done(mill)
    shown = [task["ended_at"] - task["started_at"] for task in mill.tasks("work")]
    assert all(0 <= seconds < DAY / 2 for seconds in shown), "the clock's jump is counted as work"


def test_a_timeout_goes_by_a_steady_clock(mill: Mill, shim: Shim) -> None:
    mill.start()
    mill.drop("slow.toml", 'command = "sleep 1000"\ntimeout = "3s"\ngrace = "1s"\n')
    mill.running("slow")
    shim.shift_clock(-DAY)
    assert mill.ended("slow")["state"] == "failed"
    assert mill.tasks("slow")[0]["state"] == "timeout"


@pytest.mark.alone
def test_a_disk_that_takes_its_time_keeps_nobody_waiting(mill: Mill, shim: Shim) -> None:
    """Every fsync takes a second more: an answer waits until what it says is durable, a commit or two, and for nothing
    that was changed after; all is done."""
    shim.slow_sync(1000)
    mill.start("--limit", "2")
    mill.drop("load.toml", 'command = "echo {index} >> out"\n[items]\ntotal = 200\nper_task = 1\n')
    waits: list[float] = []
    while mill.job("load").get("ended_at") is None:
        began = time.monotonic()
        mill.ask("status")
        waits.append(time.monotonic() - began)
        mill.after(0.1)
    print(f"status: {statistics.median(waits):.3f} s, at most {max(waits):.2f} s")
    assert statistics.median(waits) < 2.5
    assert sorted(map(int, (mill.base / "out").read_text().split())) == list(range(200))


def test_a_file_that_is_just_being_taken_in_is_waited_for(mill: Mill, shim: Shim) -> None:
    mill.start("--limit", "2")
    shim.slow_sync(1000)  # a second at least between the moment when it leaves the folder and that when it is a job
    mill.drop("late.toml", 'command = "true"\n')
    mill.until(lambda: not (mill.jobs / "late.toml").exists(), "not claimed")
    assert "late done" in mill.grist("wait", "late")
