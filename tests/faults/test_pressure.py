"""Memory that runs short on a real machine: nothing new, then the youngest stopped, then ended and run again.

The reserve is a setting, and it can be set so high that a few small tasks touch it on a machine of any size. How high,
goes by what is available at the moment: what other tests take or give back would make it another test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mill import DEADLINE, Mill
from tests.processes import states

pytestmark = pytest.mark.alone

MB = 1 << 20
SIZE, GROWTH = 100 * MB, 300 * MB
MOST = 1500 * MB
"""What all tasks of a test hold together at most."""
NEEDED = 3 * MOST
PLENTY = 10 * MB

HOG = """
import os, sys, time
index, size, growth = (int(word) for word in sys.argv[1:4])
def say(word):
    with open("record", "a") as file:
        file.write(f"{word} {index} {os.getpid()}\\n")
def hold(size):
    held = bytearray(size)
    held[::4096] = bytes(len(held[::4096]))  # one touch makes a page ours
    return held
held = [hold(size)]
say("begin")
while not os.path.exists("go"):
    if growth and len(held) == 1 and os.path.exists("grow"):
        held.append(hold(growth))
        say("grown")
    time.sleep(0.02)
say("end")
"""


class Herd:
    """Tasks that hold memory until they are let go, and what they have written down."""

    def __init__(self, mill: Mill) -> None:
        self.mill, self.place = mill, mill.base / "herd"
        self.place.mkdir()
        (self.place / "hog.py").write_text(HOG)
        (mill.jobs / ".gristmill").mkdir(exist_ok=True)
        self.total = 0

    def drop(self, total: int, growth: int = 0, more: str = "") -> None:
        """Drops the job; its tasks say nothing on standard output."""
        self.total = total
        command = f"exec $GRIST_PYTHON hog.py {{index}} {SIZE} {growth}"
        self.mill.drop("hog.toml", f'command = "{command}"\ncwd = "{self.place}"\n{more}\n'
                                   f"[items]\ntotal = {total}\nper_task = 1\n")  # fmt: skip

    def reserve(self, size: float) -> None:
        """Sets how much memory is left free, as an editor saves a file."""
        path = self.mill.jobs / ".gristmill" / "settings.toml"
        beside = path.with_name("settings.toml~")
        beside.write_text(f"memory_reserve = {max(PLENTY, int(size))}\nnice = 0\n")
        beside.rename(path)

    def available(self) -> int:
        found: int = self.mill.status()["machine"]["memory_available_bytes"]
        return found

    def said(self, word: str) -> list[int]:
        """The indices of the tasks that wrote this word, in their order."""
        record = self.place / "record"
        lines = record.read_text().splitlines() if record.exists() else []
        return [int(line.split()[1]) for line in lines if line.startswith(word + " ")]

    def hold(self, count: int) -> None:
        """Waits until so many tasks hold their memory."""
        self.mill.until(lambda: len(self.said("begin")) >= count, f"not {count} tasks have begun")

    def order(self) -> list[int]:
        """The running tasks, the oldest first."""
        running = [task for task in self.mill.tasks("hog") if task["state"] == "running"]
        return [task["number"] for task in sorted(running, key=lambda task: task["started_at"])]

    def states(self) -> dict[int, str]:
        return {task["number"]: task["state"] for task in self.mill.tasks("hog")}

    def reach(self, state: str, what: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """A task in this state, once there is one."""
        found: dict[str, Any] = self.mill.until(
            lambda: next((task for task in self.mill.tasks("hog") if task["state"] == state and what(task)), None),
            f"no task is {state}: {self.mill.tasks('hog')}",
        )
        return found

    def end(self) -> None:
        """Lets all tasks come to their ends: each was done whole exactly once, and no attempt was counted twice."""
        self.reserve(PLENTY)
        (self.place / "go").touch()
        job = self.mill.ended("hog")
        assert (job["state"], job["items_done"]) == ("done", self.total)
        assert Counter(self.said("end")) == dict.fromkeys(range(self.total), 1)
        assert {task["attempts"] for task in self.mill.tasks("hog")} == {1}


@pytest.fixture
def herd(mill: Mill) -> Iterator[Herd]:
    """A herd on a mill whose daemon runs with six workers and hardly any reserve."""
    made = Herd(mill)
    made.reserve(PLENTY)
    mill.start("--limit", "6")
    if made.available() < NEEDED:
        pytest.skip(f"{made.available() >> 20} MB of memory are available, {NEEDED >> 20} are needed")
    yield made
    (made.place / "go").touch()


def test_below_the_reserve_nothing_is_started_beside_what_runs_and_the_reason_is_told(herd: Herd) -> None:
    herd.mill.grist("limit", "1")
    herd.drop(3)
    herd.hold(1)
    herd.reserve(1.2 * herd.mill.status()["machine"]["memory_total_bytes"])
    herd.mill.until(lambda: "are kept in reserve" in herd.mill.status()["daemon"]["reason"], "it isn't told")
    herd.mill.grist("limit", "6")
    herd.mill.until(lambda: "the reserve would be touched" in herd.mill.grist("explain"), "the reason is not told")
    herd.mill.after(2)
    assert len(herd.said("begin")) == 1
    assert "Why no more: memory: the reserve would be touched." in herd.mill.grist("explain", "hog")
    herd.reserve(PLENTY)
    herd.hold(3)
    herd.end()


def test_tasks_that_grow_into_the_reserve_are_stopped_the_youngest_first_and_go_on(herd: Herd) -> None:
    herd.drop(3, GROWTH)
    herd.hold(3)
    order = herd.order()
    herd.reserve((herd.available() - 2 * GROWTH) / 0.6)  # two that grow are one too many
    (herd.place / "grow").touch()
    stopped = herd.reach("paused")
    assert stopped["number"] == order[-1]
    assert "memory" in stopped["reason"]
    herd.mill.until(lambda: set(states(stopped["pid"])) <= {"T"} and state(stopped["pid"]) == "T", "it does not stop")
    follower = herd.mill.spawn("log", "-f", stopped["id"])
    herd.mill.after(0.3)
    assert follower.poll() is None, "what a stopped task will write is not waited for"
    herd.reserve(PLENTY)
    herd.mill.until(lambda: set(herd.states().values()) == {"running"}, "it does not go on")
    herd.mill.until(lambda: state(stopped["pid"]) != "T", "its process does not go on")
    herd.end()
    assert follower.wait(DEADLINE) == 0
    assert Counter(herd.said("begin")) == dict.fromkeys(range(3), 1), "none was begun anew"


def test_when_memory_is_almost_gone_one_is_ended_and_run_again_with_more_set_aside(herd: Herd) -> None:
    herd.drop(4, more="[resources]\nmemory = '200 MiB'")
    herd.hold(4)
    oldest = herd.order()[0]
    herd.reserve(herd.available() / 0.34)
    ended = herd.reach("queued")
    assert ended["reason"] == "ended to make room in memory; it is queued again"
    assert herd.states()[oldest] == "running", "the oldest runs on: ending the last would only begin it anew"
    assert herd.mill.job("hog")["memory_need_bytes"] > 290 * MB, "half as much again as it was claimed to take"
    herd.end()
    begun = Counter(herd.said("begin"))
    assert (begun[oldest], begun[ended["number"]]) == (1, 2)


def test_a_daemon_killed_in_the_middle_of_it_loses_nothing(herd: Herd) -> None:
    herd.drop(5)
    herd.hold(5)
    first = herd.available()
    herd.reserve(first / 0.5)
    herd.reach("paused")
    herd.mill.kill()
    herd.mill.start("--limit", "6")
    herd.reach("paused")
    herd.reserve(first / 0.3)
    herd.reach("queued")
    herd.mill.kill()
    herd.mill.start("--limit", "6")
    herd.end()


def test_a_stopped_task_takes_no_place_under_the_limit_and_goes_on_before_others_start(herd: Herd) -> None:
    herd.drop(6)
    herd.hold(3)
    herd.reserve(herd.available() / 0.55)
    herd.reach("paused")
    herd.mill.grist("limit", "1")
    herd.reserve(PLENTY)
    (herd.place / "go").touch()
    herd.end()


def state(pid: int) -> str:
    """The kernel's letter for what a process does; "" for none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""
