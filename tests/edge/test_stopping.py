"""Tasks that are stopped, go on and are evicted: real process trees, and a worker spoken to as daemons do."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gristmill.supervisor.core import journal
from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.edge import spawner
from tests.edge.test_worker import Worker, log_of, wait_for, worker
from tests.processes import states
from tests.waiting import DEADLINE, after, until

__all__ = ["worker"]

KEY = "1.0.1"
BEAT = "beat() { while :; do echo >> $1; sleep 0.02; done; }; "
TREES = {
    "a shell with children": BEAT + "beat a & beat b & beat c",
    "children of children": BEAT + "(beat a & beat b) & beat c",
    "a child forked twice": BEAT + "((beat a &) &); beat b",
    "a child in a session of its own": BEAT + f"setsid sh -c '{BEAT} beat a' & beat b",
    "a child without its environment": f"env -i PATH=$PATH sh -c '{BEAT} beat a' & {BEAT} beat b",
}


def stopped(worker: Worker) -> bool:
    return set(states(worker.pid)) == {"T"}


def moving(worker: Worker) -> bool:
    return bool(now := states(worker.pid)) and "T" not in now


def sizes(worker: Worker) -> list[int]:
    return [path.stat().st_size if path.exists() else 0 for path in (worker.base / name for name in "abc")]


Make = Callable[[str, float], Worker]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a worker in whose program a constant has another value."""
    made: list[Worker] = []

    def altered(name: str, value: float) -> Worker:
        program = tmp_path / "program"
        shutil.copytree(spawner.COLD.parent, program, ignore=shutil.ignore_patterns("__pycache__"))
        found = 0
        for file in program.iterdir():
            text, here = re.subn(rf"^{name} = \S+", f"{name} = {value}", file.read_text(), flags=re.MULTILINE)
            file.write_text(text)
            found += here
        assert found == 1
        monkeypatch.setattr(spawner, "COLD", program / "cold.py")
        made.append(Worker(tmp_path))
        return made[-1]

    yield altered
    for one in made:
        one.close()


LEASE = 4.0
"""Seconds that a task stays stopped unless that is said again: more than this test, or a worker, ever stands still."""


@pytest.mark.parametrize("script", TREES.values(), ids=TREES)
def test_a_whole_tree_stops_and_goes_on(worker: Worker, script: str) -> None:
    worker.sh(0, script)
    beating = script.count("beat a") + script.count("beat b") + script.count("beat c")
    until(lambda: sum(size > 0 for size in sizes(worker)) == beating, "not all of it has begun")
    worker.say({"stop": KEY})
    assert worker.hear("paused") == {"paused": KEY}
    until(lambda: stopped(worker), "some of it still moves")
    before = sizes(worker)
    after(0.2)
    assert sizes(worker) == before
    worker.say({"go": KEY})
    assert worker.hear("resumed") == {"resumed": KEY}
    until(lambda: moving(worker), "some of it does not go on")
    until(lambda: sum(now > was for now, was in zip(sizes(worker), before, strict=True)) == beating, "it does nothing")
    worker.say({"end": KEY})
    assert worker.hear("e")["why"] == "cancel"


FORKER = """
import collections, os, signal
children = collections.deque()
signal.alarm(240)
while True:
    if (child := os.fork()) == 0:
        signal.alarm(240)
        signal.pause()
    children.append(child)
    os.write(1, b"x")
    if len(children) > 20:
        os.kill(oldest := children.popleft(), signal.SIGKILL)
        os.waitpid(oldest, 0)
"""


def test_processes_that_are_born_while_others_are_stopped_are_stopped_too(worker: Worker) -> None:
    """Whoever escapes sleeps on, since its parent, which would end it, is stopped."""
    (worker.base / "fork.py").write_text(FORKER)
    worker.sh(0, f"{sys.executable} fork.py > a & {sys.executable} fork.py > b & {sys.executable} fork.py > c & wait")
    worker.hear("s")
    until(lambda: all(size > 50 for size in sizes(worker)), "it has not begun")
    for _ in range(10):
        worker.say({"stop": KEY})
        worker.hear("paused")
        until(lambda: stopped(worker), "some of it still moves")
        before = sizes(worker)
        after(0.05)
        assert stopped(worker) and sizes(worker) == before
        worker.say({"go": KEY})
        worker.hear("resumed")
        until(functools.partial(grown, worker, before), "it does not go on")
    worker.say({"end": KEY})
    worker.hear("e")


def grown(worker: Worker, before: list[int]) -> bool:
    """Whether each of the three has done more."""
    return all(now > was + 5 for now, was in zip(sizes(worker), before, strict=True))


def state(pid: int) -> str:
    """The letter that the kernel has for what it does."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_what_a_task_has_stopped_itself_stays_stopped(worker: Worker) -> None:
    worker.sh(0, "sleep 100 & echo $! > child; kill -STOP $!; while :; do echo >> a; sleep 0.02; done")
    child = int(wait_for(worker.base / "child"))
    until(lambda: sizes(worker)[0] > 0, "it has not begun")
    until(lambda: state(child) == "T", "its child has not been stopped")
    worker.say({"stop": KEY}, {"go": KEY})
    worker.hear("resumed")
    before = sizes(worker)[0]
    until(lambda: sizes(worker)[0] > before, "it does not go on")
    assert state(child) == "T"
    worker.say({"end": KEY})
    assert worker.hear("e")["why"] == "cancel"


def test_a_timeout_stands_still_while_a_task_is_stopped(worker: Worker) -> None:
    worker.say({"context": {**worker.context, "timeout": 4.0}, "job": 1})  # it is stopped in time on any machine
    worker.sh(0, "exec sleep 100")
    worker.hear("s")
    worker.say({"stop": KEY})
    worker.hear("paused")
    after(4.1)
    assert stopped(worker)
    worker.say({"go": KEY})
    end = worker.hear("e")
    assert end["why"] == "timeout"
    assert end["stopped"] > 4.09
    assert end["t"] - end["t0"] - end["stopped"] > 3.99
    assert f"it was stopped for {end['stopped']:.0f} s meanwhile" in end["text"]
    assert journal.read_exit(end).stopped_s == end["stopped"]


def test_a_task_that_nobody_keeps_stopped_goes_on(make: Make) -> None:
    worker = make("STOP_LEASE", LEASE)
    worker.sh(0, "exec sleep 100")
    worker.hear("s")
    for _ in range(6):
        last = time.monotonic()
        worker.say({"stop": KEY})
        after(1.0)
    assert stopped(worker)
    worker.hear("resumed")
    assert time.monotonic() - last > LEASE
    until(lambda: moving(worker), "it does not go on")
    worker.say({"end": KEY})
    worker.hear("e")


def test_when_the_daemon_goes_a_stopped_task_goes_on_at_once_and_its_exit_is_written_down(make: Make) -> None:
    worker = make("STOP_LEASE", 10 * DEADLINE)
    worker.sh(0, "while ! test -e go; do sleep 0.02; done; exit 7")
    worker.hear("s")
    worker.say({"stop": KEY})
    worker.hear("paused")
    (worker.base / "go").touch()
    worker.sock.close()
    worker.gone()
    fates, _ = worker.runs.survey(worker.run)
    assert fates.ended[Key(1, 0, 1)].exit_code == 7
    assert fates.ended[Key(1, 0, 1)].stopped_s > 0


def test_a_later_daemon_stops_a_task_lets_it_go_on_and_evicts_it_by_signals(worker: Worker) -> None:
    worker.sh(0, "while :; do echo >> a; sleep 0.02; done")
    worker.hear("s")
    worker.sock.close()
    assert worker.runs.survey(worker.run)[0].stops
    until(lambda: sizes(worker)[0] > 0, "it has not begun")
    os.kill(worker.pid, signal.SIGURG)
    until(lambda: stopped(worker), "it does not stop")
    os.kill(worker.pid, signal.SIGCONT)
    until(lambda: moving(worker), "it does not go on")
    os.kill(worker.pid, signal.SIGURG)
    until(lambda: stopped(worker), "it does not stop again")
    os.kill(worker.pid, signal.SIGWINCH)
    worker.gone()
    end = worker.runs.survey(worker.run)[0].ended[Key(1, 0, 1)]
    assert (end.why, end.signal) == ("evict", 15)


def test_a_task_goes_on_by_itself_when_the_later_daemon_dies_too(make: Make) -> None:
    worker = make("STOP_LEASE", LEASE)
    worker.sh(0, "while ! test -e go; do sleep 0.02; done; exit 7")
    worker.hear("s")
    worker.sock.close()
    os.kill(worker.pid, signal.SIGURG)
    until(lambda: stopped(worker), "it does not stop")
    (worker.base / "go").touch()
    worker.gone()
    assert worker.runs.survey(worker.run)[0].ended[Key(1, 0, 1)].exit_code == 7


def test_a_worker_that_knows_no_such_signals_lives_on() -> None:
    """What they do to a worker of an earlier version: nothing."""
    pid = os.posix_spawn("/bin/sleep", ["sleep", "100"], {})
    for number in (signal.SIGURG, signal.SIGWINCH, signal.SIGCONT):
        os.kill(pid, number)
    os.kill(pid, signal.SIGTERM)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGTERM


def test_a_worker_that_has_its_daemon_does_not_hear_those_signals(worker: Worker) -> None:
    worker.sh(0, "while ! test -e go; do sleep 0.02; done; exit 7")
    worker.hear("s")
    os.kill(worker.pid, signal.SIGURG)
    os.kill(worker.pid, signal.SIGWINCH)
    (worker.base / "go").touch()
    end = worker.hear("e")
    assert (end["code"], end["why"], "stopped" in end) == (7, None, False)


def test_a_stopped_task_that_is_canceled_hears_its_term(worker: Worker) -> None:
    worker.say({"context": {**worker.context, "grace": DEADLINE}, "job": 1})
    worker.sh(0, "trap 'echo heard; exit 3' TERM; echo ready > a; while :; do sleep 0.02; done")
    wait_for(worker.base / "a")
    worker.say({"stop": KEY})
    worker.hear("paused")
    worker.say({"end": KEY})
    end = worker.hear("e")
    assert (end["why"], end["code"]) == ("cancel", 3)
    assert "heard" in log_of(worker, 0).splitlines()
    worker.sh(1, "exit 5")
    assert worker.hear("e")["code"] == 5


def test_a_stop_that_comes_while_a_task_is_ending_is_too_late(worker: Worker) -> None:
    worker.say({"context": {**worker.context, "grace": DEADLINE}, "job": 1})
    worker.sh(0, "trap 'sleep 0.3; exit 3' TERM; echo ready > a; while :; do sleep 0.02; done")
    wait_for(worker.base / "a")
    worker.say({"end": KEY}, {"stop": KEY})
    assert worker.hear("e")["code"] == 3


@pytest.mark.parametrize("halted", [False, True], ids=["running", "stopped"])
def test_an_evicted_task_has_a_moment_at_most_and_leaves_no_result(make: Make, halted: bool) -> None:
    worker = make("EVICT_GRACE", 3.0)  # of a second a busy machine may leave the task nothing
    worker.say({"context": {**worker.context, "grace": 10 * DEADLINE}, "job": 1})
    worker.sh(0, "trap 'echo heard' TERM; echo 1 > $GRIST_RESULT; echo ready > a; while :; do sleep 0.02; done")
    wait_for(worker.base / "a")
    if halted:
        worker.say({"stop": KEY})
        worker.hear("paused")
    worker.say({"evict": KEY})
    end = worker.hear("e")
    assert (end["why"], end["signal"], end["v"]) == ("evict", 9, 2)
    assert "heard" in log_of(worker, 0).splitlines()
    assert "result" not in end
    worker.sh(1, "exit 5")
    assert "result" not in worker.hear("e")


def test_a_task_that_ended_just_before_it_was_evicted_has_ended(worker: Worker) -> None:
    worker.sh(0, "while ! test -e go; do sleep 0.02; done; echo 1 > $GRIST_RESULT; exit 7")
    pid = worker.hear("s")["pid"]
    os.kill(worker.pid, signal.SIGSTOP)
    (worker.base / "go").touch()
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z", "it has not ended")
    worker.say({"evict": KEY})
    os.kill(worker.pid, signal.SIGCONT)
    end = worker.hear("e")
    assert (end["code"], end["why"]) == (7, None)
    assert Path(end["result"]).read_text() == "1\n"


def test_orders_for_another_task_are_not_for_the_one_in_hand(worker: Worker) -> None:
    worker.sh(0, "while ! test -e go; do sleep 0.02; done; exit 7")
    worker.hear("s")
    worker.say({"stop": "1.1.1"}, {"evict": "1.0.2"}, {"go": KEY})
    (worker.base / "go").touch()
    end = worker.hear("e")
    assert (end["code"], "stopped" in end) == (7, False)


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="the number of the call is not known here")
def test_a_polite_task_is_last_in_line_for_the_disk_with_all_its_children(worker: Worker) -> None:
    script = "ionice -p $$; (sleep 0; sh -c 'ionice -p $$')"
    worker.say({"context": {**worker.context, "nice": 0, "ionice": True}, "job": 1})
    worker.sh(0, script)
    worker.hear("e")
    assert log_of(worker, 0).splitlines() == ["best-effort: prio 7"] * 2
    worker.say({"context": {**worker.context, "nice": 0, "ionice": False}, "job": 1})
    worker.sh(1, script)
    worker.hear("e")
    assert "prio 7" not in log_of(worker, 1)
