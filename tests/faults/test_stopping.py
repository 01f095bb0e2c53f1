"""Stopped and evicted tasks, with daemons that die: nothing stays stopped, nothing is lost, nothing counts twice."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import keeper as program
from tests.faults.test_upgrade import install
from tests.processes import alive, children, states
from tests.waiting import DEADLINE, after, until

PATIENT_S = 4.0
"""A time that a task has, or that it is stopped: a busy machine gets it begun, or its stop renewed, within that."""
BEAT = "while ! test -e go; do echo $$ >> beat; sleep 0.05; done; "


class Keep:
    """A daemon without a governor, in a folder; and what a user, or a governor, would do."""

    def __init__(self, base: Path) -> None:
        self.base, self.state = base, base / "state"
        self.state.mkdir()
        (self.state / "logs").mkdir()
        self.env = dict(os.environ)
        self.start()

    def start(self, workers: int = 2) -> None:
        command = [sys.executable, program.__file__, str(self.state), str(workers)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.env
        )

    def use(self, program: Path) -> None:
        """Goes on with another program."""
        self.leave()
        self.env["PYTHONPATH"] = str(program)
        self.start()

    def ask(self, op: str, **more: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"op": op, "job": 1, "number": 0, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "it has died"
        return json.loads(line)

    def add(self, command: str, total: int = 1, **more: Any) -> None:
        self.ask("add", command=command, total=total, more=more)

    def task(self, number: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("tasks")[number]
        return found

    def until(self, what: Callable[[], Any], why: str) -> Any:
        return until(what, lambda: f"{why}\n{(self.state / 'spawner.log').read_text()}")

    def reach(self, state: str, number: int = 0) -> dict[str, Any]:
        """The task once it is in `state`."""
        found: dict[str, Any] = self.until(
            lambda: len(tasks := self.ask("tasks")) > number and tasks[number]["state"] == state and tasks[number],
            f"task {number} is not {state}",
        )
        return found

    def stop(self, number: int = 0, *words: str) -> int:
        """Stops a running task, and sees that nothing of it moves; its pid."""
        pid: int = self.reach("running", number)["pid"]
        self.until(self.beats, "it has not begun")
        assert self.ask("stop", number=number, words=words) is True
        self.reach("paused", number)
        self.until(lambda: stands(pid), f"it does not stop: {tree(pid)}")
        return pid

    def tries(self, count: int) -> None:
        """Waits until a task that leaves a line when it begins has begun so often."""
        file = self.base / "tries"
        self.until(lambda: file.exists() and file.read_text() == "x\n" * count, f"it has not begun {count} times")

    def beats(self) -> int:
        beat = self.base / "beat"
        return len(beat.read_text().split()) if beat.exists() else 0

    def moves(self) -> None:
        """Waits until the task does something again."""
        before = self.beats()
        self.until(lambda: self.beats() > before + 1, "it does not go on")

    def kill(self) -> None:
        self.process.kill()
        self.leave()

    def leave(self) -> None:
        """Hangs up, and waits until the daemon is gone."""
        with self.process:
            pass

    def worker(self, task: dict[str, Any]) -> int:
        """The pid of a task's worker."""
        return int(Path(f"/proc/{task['pid']}/stat").read_text().rpartition(")")[2].split()[1])

    def spawner(self) -> int:
        ours = children(self.process.pid)
        return next(pid for pid in ours if Path(f"/proc/{pid}/comm").read_text() == "grist-spawner\n")

    def end(self, code: int = 0) -> dict[str, Any]:
        """Lets the task come to its end, which is to be `code`."""
        (self.base / "go").touch()
        task = self.reach("failed" if code else "done")
        assert (task["exit_code"], task["attempts"]) == (code, 1)
        return task


def tree(pid: int) -> list[str]:
    """The states of a process and all that descends from it, of what has not ended."""
    own = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return [state for state in (*states(pid), own) if state != "Z"]


def stands(pid: int) -> bool:
    """Whether all of it is stopped; a shell whose child was stopped between vfork and exec waits for that, `D`."""
    states = set(tree(pid))
    return "T" in states and states <= {"T", "D"}


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    made = Keep(tmp_path)
    yield made
    (tmp_path / "go").touch()  # all tasks end by that
    made.leave()


def test_a_stopped_task_is_shown_as_such_with_the_reason_and_goes_on(keep: Keep) -> None:
    keep.add(BEAT + "exit 7")
    pid = keep.stop(0, "memory: 0.2 GB of reserve 0.5 GB left")
    assert keep.reach("paused")["reason"] == "memory: 0.2 GB of reserve 0.5 GB left"
    assert keep.ask("paused") == 1
    before = keep.beats()
    after(0.3)
    assert (keep.beats(), stands(pid)) == (before, True)
    assert keep.ask("resume") is True
    assert keep.reach("running")["reason"] == ""
    assert keep.ask("paused") == 0
    keep.moves()
    assert keep.ask("resume") is False
    keep.end(7)


def test_stopped_time_counts_neither_to_the_timeout_nor_to_what_is_learned(keep: Keep) -> None:
    keep.add(BEAT, timeout_s=PATIENT_S)
    keep.stop()
    after(PATIENT_S)
    keep.reach("paused")
    assert keep.ask("stopped_s") > PATIENT_S - 0.01
    keep.ask("resume")
    task = keep.end()
    assert task["ended_at"] - task["started_at"] > PATIENT_S
    assert re.fullmatch(r"it was stopped for \d+ s meanwhile", task["reason"])
    assert keep.ask("wall") < PATIENT_S


def test_a_timeout_comes_after_the_stop(keep: Keep) -> None:
    keep.add(BEAT, timeout_s=PATIENT_S)
    keep.stop()
    after(PATIENT_S)
    keep.reach("paused")
    keep.ask("resume")
    assert keep.reach("timeout")["reason"] == f"ran longer than {PATIENT_S:.0f} s"


@pytest.mark.parametrize("how", ["killed", "stopped as it should be"])
def test_the_daemon_goes_while_a_task_is_stopped(keep: Keep, how: str) -> None:
    keep.add(BEAT + "exit 7")
    keep.stop()
    keep.kill() if how == "killed" else keep.leave()
    keep.moves()
    keep.start()
    keep.end(7)


@pytest.mark.parametrize("how", ["killed", "stopped as it should be"])
def test_the_next_daemon_stops_a_task_and_goes_too(keep: Keep, how: str) -> None:
    """Where it is killed, the task stays stopped for its lease; where it stops as it should be, no longer."""
    if how != "killed":
        keep.use(changed(keep.base / "patient", "STOP_LEASE = 10.0", f"STOP_LEASE = {10 * DEADLINE}"))
    keep.add(BEAT + "exit 7")
    keep.stop()
    keep.kill()
    keep.start()
    keep.stop()
    after(1.0)
    keep.reach("paused")
    assert keep.ask("resume") is True
    keep.moves()
    keep.stop()
    keep.kill() if how == "killed" else keep.leave()
    keep.moves()
    keep.start()
    keep.end(7)


@pytest.mark.parametrize("adopted", [False, True], ids=["own worker", "adopted worker"])
def test_a_stop_lasts_for_as_long_as_the_daemon_wants_it(keep: Keep, adopted: bool) -> None:
    keep.use(changed(keep.base / "hasty", "STOP_LEASE = 10.0", f"STOP_LEASE = {PATIENT_S}"))
    keep.add(BEAT + "exit 7")
    if adopted:
        keep.reach("running")
        keep.kill()
        keep.start()
    pid = keep.stop()
    before = keep.beats()
    after(1.5 * PATIENT_S)
    assert keep.task()["state"] == "paused"
    assert (keep.beats(), stands(pid)) == (before, True)
    keep.kill()
    keep.moves()
    keep.start()
    keep.end(7)


def changed(folder: Path, before: str, after: str) -> Path:
    """The program with another word in its worker."""
    worker = install(folder, "1.0") / "gristmill" / "supervisor" / "worker" / "worker.py"
    text = worker.read_text()
    assert text.count(before) == 1
    worker.write_text(text.replace(before, after))
    return folder


@pytest.mark.parametrize("survives", ["the spawner", "nobody"])
def test_a_task_without_a_worker_is_stopped_and_the_daemon_goes(keep: Keep, survives: str) -> None:
    keep.add(BEAT + "exit 7")
    task = keep.reach("running")
    os.kill(keep.worker(task), signal.SIGKILL)
    keep.until(lambda: "its worker was killed" in keep.task()["reason"], "that its worker is gone is not seen")
    keep.stop()
    assert keep.ask("resume") is True
    assert "its worker was killed" in keep.reach("running")["reason"]
    keep.moves()
    keep.stop()
    if survives == "nobody":
        os.kill(keep.spawner(), signal.SIGKILL)
        keep.kill()
        assert stands(task["pid"])
    else:
        keep.kill()
        keep.moves()
    keep.start()
    keep.moves()
    (keep.base / "go").touch()
    keep.reach("lost")


def test_the_worker_of_a_stopped_task_is_killed(keep: Keep) -> None:
    keep.add(BEAT + "exit 7")
    keep.stop()
    os.kill(keep.worker(keep.task()), signal.SIGKILL)
    keep.moves()
    assert "its worker was killed" in keep.reach("running")["reason"]
    assert keep.ask("paused") == 0
    (keep.base / "go").touch()
    keep.reach("lost")


def test_a_task_without_a_worker_has_its_timeout_and_no_stopped_time_in_it(keep: Keep) -> None:
    keep.add(BEAT, timeout_s=2 * PATIENT_S)
    os.kill(keep.worker(keep.reach("running")), signal.SIGKILL)
    keep.until(lambda: "its worker was killed" in keep.task()["reason"], "that its worker is gone is not seen")
    pid = keep.stop()
    after(2 * PATIENT_S)
    keep.reach("paused")
    keep.ask("resume")
    keep.moves()
    keep.until(lambda: not alive(pid), "it has no timeout any more")


def test_a_stopped_task_is_canceled(keep: Keep) -> None:
    keep.add("trap 'echo heard > heard; exit 3' TERM; " + BEAT, grace_s=DEADLINE)
    keep.stop()
    keep.ask("cancel")
    assert keep.reach("canceled")["reason"] == "canceled by the user"
    assert (keep.base / "heard").exists()
    assert keep.ask("paused") == 0


TRY = 'echo x >> tries; echo try $(wc -l < tries); echo $(wc -l < tries) > "$GRIST_RESULT"; '


EARLIER = "worker of an earlier version"
HOLDERS = [("worker", False), ("worker", True), ("adopted worker", False), ("adopted worker", True),
           ("nobody", False), ("nobody", True), (EARLIER, False)]


@pytest.mark.parametrize(("holder", "halted"), HOLDERS)
def test_an_evicted_task_runs_again_with_a_raised_claim_and_no_attempt_less(
    keep: Keep, holder: str, halted: bool
) -> None:
    if holder == EARLIER:
        keep.use(earlier(keep.base / "earlier"))
    keep.add(TRY + BEAT, resources={"memory_bytes": 1_000_000_000})
    task = keep.reach("running")
    keep.tries(1)
    if holder == "nobody":
        os.kill(keep.worker(task), signal.SIGKILL)
        keep.until(lambda: "its worker was killed" in keep.task()["reason"], "that its worker is gone is not seen")
    elif holder != "worker":
        keep.kill()
        keep.env = dict(os.environ)
        keep.start()
    if holder == EARLIER:
        assert keep.ask("stop") is False
    if halted:
        keep.stop()
    assert keep.ask("evict") is True
    keep.tries(2)
    again = keep.reach("running")
    assert (again["attempts"], again["pid"] != task["pid"]) == (1, True)
    assert not alive(task["pid"])
    assert keep.ask("need") == 1_500_000_000
    ended = keep.end()
    assert keep.ask("results") == [2]
    assert Path(ended["log"]).read_text() == "try 2\n"


def earlier(folder: Path) -> Path:
    """The program with workers that say nothing of stops."""
    return changed(folder, ',"stops":true', "")


def test_several_evicted_at_once_raise_the_claim_once(keep: Keep) -> None:
    keep.add("echo $$ >> beat; while ! test -e go; do sleep 0.05; done", 2, resources={"memory_bytes": 1_000_000_000})
    for number in (0, 1):
        keep.reach("running", number)
    keep.until(lambda: keep.beats() == 2, "they have not begun")
    assert [keep.ask("evict", number=number) for number in (0, 1)] == [True, True]
    keep.until(lambda: keep.beats() == 4, "they are not run again")
    assert keep.ask("need") == 1_500_000_000
    keep.reach("running")
    keep.ask("evict")
    keep.until(lambda: keep.beats() == 5, "it is not run again")
    assert keep.ask("need") == 2_250_000_000


def test_what_was_sent_ahead_behind_a_stopped_task_is_done_by_others(keep: Keep) -> None:
    slow = "test {index} = 40 && touch begun && while ! test -e go; do sleep 0.05; done; echo x >> beat"
    keep.add(slow, total=200)
    keep.until((keep.base / "begun").exists, "it has not begun")
    keep.reach("running", 40)
    assert keep.ask("stop", number=40) is True
    keep.reach("paused", 40)
    keep.until(lambda: keep.beats() == 199, "the others wait behind it")
    assert keep.task(40)["state"] == "paused"
    (keep.base / "go").touch()
    keep.ask("resume", number=40)
    keep.reach("done", 40)


def test_a_daemon_that_dies_while_it_evicts_finds_the_task_queued_again(keep: Keep) -> None:
    keep.add("trap '' TERM; echo x >> tries; " + BEAT)
    pid = keep.reach("running")["pid"]
    keep.tries(1)
    os.kill(keep.worker(keep.task()), signal.SIGSTOP)
    worker = keep.worker(keep.task())
    assert keep.ask("evict") is True
    keep.reach("running")
    keep.kill()
    os.kill(worker, signal.SIGCONT)
    keep.until(lambda: not alive(pid), "it was not ended")
    keep.start()
    keep.tries(2)
    keep.end()


def test_the_keeper_leaves_nothing_running(keep: Keep) -> None:
    """The harness itself: when it hangs up, its workers leave."""
    keep.add("true")
    keep.reach("done")
    worker = children(keep.spawner())
    keep.leave()
    with contextlib.suppress(OSError):
        keep.until(lambda: not any(map(alive, worker)), "a worker is left")
