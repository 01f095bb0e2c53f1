"""Sudden deaths while calls run: of the daemon, of workers, of the interpreters that they come from, of runners."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.load import Load, Sort, spawners, workers
from tests.faults.test_kills import check_nothing_left, kill_at_random, live
from tests.mill import Mill
from tests.processes import alive, children, slay

KILLS, FULL_KILLS = 8, 200

MODULE = """
import os, sys, time

def trace(mark, index):
    fd = os.open(os.environ["GRIST_JOB_NAME"] + ".out", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, f"{mark} {index}\\n".encode())
    os.close(fd)

def brisk(index):
    trace("b", index)
    trace("e", index)
    sys.exit(index % 2)

def long(index):
    trace("b", index)
    time.sleep(index % 3 // 2 + 0.1 + index * 37 % 200 / 1000)
    trace("e", index)
    if index % 2:
        raise ValueError("odd")
    return index

def slain(index):
    trace("b", index)
    trace("e", index)
    os.kill(os.getpid(), (9, 15)[index % 2])

def held(index):
    trace("b", index)
    while not os.path.exists("go"):
        time.sleep(0.02)
    trace("e", index)
    return index
"""


@dataclass(frozen=True)
class Calls(Sort):
    """Tasks that are calls of a function of the module, named `work`; in fresh processes, or in those used again."""

    isolation: str = "fork"

    def text(self, name: str, where: Path, more: str = "") -> str:
        (where / "traced.py").write_text(MODULE)
        return (f'call = "traced:{self.work}"\nisolation = "{self.isolation}"\n{more}[items]\ntotal = {self.total}\n')


def sorts(isolation: str) -> tuple[Calls, ...]:
    """Short ones, longer ones, and such as kill themselves."""
    return (
        Calls("brisk", 60, "brisk", "", ((0, None), (1, None)), isolation=isolation),
        Calls("long", 18, "long", "", ((0, None), (1, None)), isolation=isolation),
        Calls("slain", 6, "slain", "", ((None, 9), (None, 15)), isolation=isolation),
    )


class CallLoad(Load):
    """Jobs of calls, in both manners by turns."""

    def drop(self, given: tuple[Sort, ...] = (), more: str = "") -> None:  # type: ignore[override]
        """Drops one job of each sort."""
        super().drop(given or sorts(("fork", "reuse")[len(self.jobs) % 2]), more)


def runners(mill: Mill) -> list[int]:
    """The pids of all processes in which calls are made."""
    found = []
    for pid in workers(mill):
        try:
            found += children(pid)
        except FileNotFoundError:
            continue  # it has just ended
    return found


@pytest.mark.timeout(1800)
def test_a_daemon_killed_while_calls_run_loses_nothing_and_runs_nothing_twice(
    mill: Mill, full: bool, chance: random.Random
) -> None:
    load = CallLoad(mill)
    for _ in range(FULL_KILLS if full else KILLS):
        live(mill, load, chance)
        mill.kill()
    mill.start("--limit", "6")
    load.check()
    load.check_places()
    check_nothing_left(mill)


@pytest.mark.timeout(1800)
def test_killed_workers_of_calls_cost_at_most_their_own_and_cut_none(
    mill: Mill, full: bool, chance: random.Random
) -> None:
    load = CallLoad(mill)
    killed = kill_at_random(mill, load, chance, FULL_KILLS if full else KILLS)
    lost = load.check(most_lost=killed)
    print(f"{killed} workers killed, {lost} calls lost")
    load.check_places()


HELD = """name = "two"
call = "traced:held"
isolation = "{isolation}"
[items]
total = 2
[resources]
memory = "4 MiB"
"""
BOTH = pytest.mark.parametrize("isolation", ["fork", "reuse"])


@pytest.fixture
def holding(turning: Mill, request: pytest.FixtureRequest) -> Mill:
    """A mill in which two calls run that wait for `go`."""
    (turning.base / "traced.py").write_text(MODULE)
    turning.drop("two.toml", HELD.format(isolation=request.getfixturevalue("isolation")))
    turning.running("two", 2)
    turning.until(lambda: (turning.base / "two.out").exists() and len(traces(turning)) == 2, "no call has begun")
    return turning


def traces(mill: Mill) -> list[str]:
    return (mill.base / "two.out").read_text().split("\n")[:-1]


@BOTH
def test_a_call_outlives_its_daemon_and_its_value_is_learned(holding: Mill, isolation: str) -> None:
    pids, shown = runners(holding), sorted(task["pid"] for task in holding.running("two", 2))
    holding.kill()
    holding.start("--limit", "2")
    assert sorted(task["pid"] for task in holding.running("two", 2)) == shown
    (holding.base / "go").touch()
    assert holding.ended("two")["items_done"] == 2
    assert '"result": 1' in holding.grist("results", "two", "--json")
    assert sorted(traces(holding)) == ["b 0", "b 1", "e 0", "e 1"]
    holding.until(lambda: not any(alive(pid) for pid in pids), "runners are left behind")


@BOTH
def test_a_call_that_ended_while_no_daemon_was_there_keeps_its_value(holding: Mill, isolation: str) -> None:
    left = workers(holding)
    holding.kill()
    (holding.base / "go").touch()
    holding.until(lambda: not any(alive(pid) for pid in left), "the workers did not leave")
    holding.start("--limit", "2")
    assert holding.ended("two")["items_done"] == 2
    assert [line.rpartition(": ")[2] for line in holding.grist("results", "two", "--json").splitlines()] == ["0}", "1}"]


@BOTH
def test_the_call_of_a_killed_worker_runs_on_and_is_lost_only_at_its_end(holding: Mill, isolation: str) -> None:
    pids, shown = runners(holding), sorted(task["pid"] for task in holding.running("two", 2))
    for pid in workers(holding):
        slay(pid)
    holding.until(lambda: not workers(holding), "the workers live on")
    holding.kill()
    holding.start("--limit", "2")
    assert sorted(task["pid"] for task in holding.running("two", 2)) == shown
    assert all(alive(pid) for pid in pids)
    (holding.base / "go").touch()
    assert holding.ended("two")["items_failed"] == 2
    assert [task["state"] for task in holding.tasks("two")] == ["lost"] * 2
    assert sorted(traces(holding)) == ["b 0", "b 1", "e 0", "e 1"]
    assert not any(alive(pid) for pid in pids), "a runner without a worker stays"


@BOTH
def test_a_killed_runner_is_the_end_of_its_call_and_of_nothing_else(holding: Mill, isolation: str) -> None:
    first = holding.tasks("two")[0]["pid"]
    os.kill(first, 9)
    holding.until(lambda: holding.tasks("two")[0]["state"] == "failed", "its end was not heard of")
    assert holding.tasks("two")[0]["reason"] == "SIGKILL"
    assert holding.tasks("two")[1]["state"] == "running"
    (holding.base / "go").touch()
    assert (holding.ended("two")["items_done"], holding.ended("two")["items_failed"]) == (1, 1)
    holding.grist("retry", "two/0")
    holding.until(lambda: holding.job("two")["items_done"] == 2, "the call was not made again")


@BOTH
def test_a_killed_interpreter_ends_no_call_and_is_replaced(holding: Mill, isolation: str) -> None:
    for pid in spawners(holding):
        slay(pid)
    holding.until(lambda: len(spawners(holding)) >= 1, "no interpreter was started again")
    assert [task["state"] for task in holding.tasks("two")] == ["running"] * 2
    (holding.base / "go").touch()
    assert holding.ended("two")["items_done"] == 2
    holding.drop("more.toml", HELD.format(isolation=isolation).replace('"two"', '"more"'))
    assert holding.ended("more")["items_done"] == 2


def test_an_import_that_is_killed_is_tried_again_and_not_for_ever(turning: Mill) -> None:
    (turning.base / "mortal.py").write_text(
        "import os\nopen('imports', 'a').write('x')\n"
        "if os.path.getsize('imports') < int(open('deaths').read()):\n    os.kill(os.getpid(), 9)\n"
        "def f(index):\n    return index\n"
    )
    (turning.base / "deaths").write_text("3")
    turning.drop("hardy.toml", 'call = "mortal:f"\n[items]\ntotal = 2\n')
    assert turning.ended("hardy")["state"] == "done"
    assert (turning.base / "imports").read_text() == "xxx"
    (turning.base / "deaths").write_text("100")
    turning.drop("frail.toml", 'call = "mortal:f"\nenv = { OTHER = "1" }\n[items]\ntotal = 1\n')
    job = turning.ended("frail")
    assert job["state"] == "failed"
    assert job["reason"].startswith("importing mortal ended its interpreter (signal 9)")
    assert (turning.base / "imports").read_text() == "x" * 6


def test_jobs_of_calls_go_on_after_a_daemon_that_died_while_it_imported(turning: Mill) -> None:
    gate = turning.base / "gate"
    os.mkfifo(gate)
    (turning.base / "slow.py").write_text(f"open({str(gate)!r}).close()\ndef f(index):\n    return index\n")
    turning.drop("slow.toml", 'call = "slow:f"\n[items]\ntotal = 3\n')
    turning.until(lambda: turning.job("slow").get("reason", "").startswith("importing slow: "), "it is not imported")
    importing = [pid for pid in spawners(turning) if "warm.py" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert importing
    turning.kill()
    turning.until(lambda: not any(alive(pid) for pid in importing), "an import outlives who waits for it")
    turning.start("--limit", "2")
    turning.until(lambda: turning.job("slow").get("reason", "").startswith("importing slow: "), "it is not imported")
    with open(gate, "w"):
        pass
    assert turning.ended("slow")["items_done"] == 3
