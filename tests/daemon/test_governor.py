"""The governor on a real daemon, as a user meets it: new kinds, claims, limits, hours, neighbours, progress."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.recorded import steps
from tests.mill import Mill

CANARY_S = 3.0
"""A task of a kind never seen runs alone for so long, or until it has ended."""
BURN = "timeout 0.4 sh -c 'while :; do :; done'; true"
BESIDE = "while True: pass"
CLAIM = "[resources]\nmemory = '4 MiB'"


class Diary:
    """A job whose tasks write down when each began and ended."""

    def __init__(self, mill: Mill) -> None:
        self.mill, self.file = mill, mill.base / "diary"

    def drop(self, name: str, total: int, work: str, more: str = "") -> None:
        command = f'echo b $(date +%s.%N) >> {self.file}; {work}; echo e $(date +%s.%N) >> {self.file}'
        self.mill.drop(f"{name}.toml", f'command = """{command}"""\n{more}\n[items]\ntotal = {total}\nper_task = 1\n')

    def moments(self) -> list[tuple[float, int]]:
        """(when, +1 or -1) of all begins and ends, in their order."""
        lines = self.file.read_text().split("\n")[:-1] if self.file.exists() else []
        return sorted((float(line.split()[1]), 1 if line[0] == "b" else -1) for line in lines)

    def begins(self) -> list[float]:
        return [when for when, step in self.moments() if step > 0]

    def most(self) -> int:
        """How many ran at once at most."""
        now = highest = 0
        for _, step in self.moments():
            now += step
            highest = max(highest, now)
        return highest


@pytest.fixture
def diary(mill: Mill) -> Diary:
    return Diary(mill)


def why(mill: Mill, binding: str) -> dict[str, Any]:
    """What one constraint says, {} while it says nothing."""
    found: dict[str, Any] = next((one for one in mill.ask("why")["allows"] if one["binding"] == binding), {})
    return found


def burn(mill: Mill) -> None:
    """Drops many tasks that compute for a moment."""
    mill.drop("burn.toml", f'command = """{BURN}"""\n[items]\ntotal = 2000\nper_task = 1\n')


def write(mill: Mill, text: str) -> None:
    (mill.jobs / ".gristmill").mkdir(exist_ok=True)
    (mill.jobs / ".gristmill" / "settings.toml").write_text(text)


# ── kinds and claims ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.alone
def test_of_a_new_kind_one_task_runs_first_then_several_and_it_is_known_after_a_restart(diary: Diary) -> None:
    mill, go = diary.mill, diary.mill.base / "go"
    work = f"until test -e {go}; do sleep 0.05; done"
    mill.start("--limit", "4")
    diary.drop("fresh", 4, work)
    words = "canary: one task of a kind never seen runs first, to see what it needs"
    mill.until(lambda: diary.begins() and mill.job("fresh").get("reason") == words, "nothing is said of it")
    assert f"Why no more: {words}." in mill.grist("explain", "fresh")
    assert len(diary.begins()) == 1
    mill.until(lambda: len(diary.begins()) == 4, "not all of them have begun")
    first, second, *_ = diary.begins()
    assert second - first > CANARY_S - 0.5
    go.touch()
    mill.ended("fresh")
    mill.kill(signal.SIGTERM)

    mill.start("--limit", "4")
    go.unlink()
    diary.file.unlink()
    diary.drop("fresh", 4, work)
    mill.until(lambda: len(diary.begins()) == 4, "not all of them have begun")
    begins = diary.begins()
    assert begins[3] - begins[0] < CANARY_S - 0.5
    go.touch()
    mill.ended("fresh")


@pytest.mark.alone
def test_a_claim_is_not_overridden_by_what_was_learned(diary: Diary) -> None:
    mill = diary.mill
    mill.start("--limit", "6")
    claim = int(0.4 * mill.status()["machine"]["memory_available_bytes"])
    diary.drop("claimed", 10, "sleep 0.3", f"[resources]\nmemory = {claim}")
    mill.until(lambda: mill.job("claimed").get("items_done", 0) >= 5, "nothing gets done")
    kind = next(kind for kind in mill.ask("why")["kinds"] if kind["name"] == "claimed")
    assert kind["claimed"]
    assert kind["memory_need_bytes"] == claim
    assert kind["memory_peak_bytes"] < claim / 10, "it is seen that they take far less"
    mill.ended("claimed")
    assert diary.most() == 2


# ── what the user sets ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_limit_set_by_the_user_holds_until_it_is_given_back(diary: Diary) -> None:
    mill = diary.mill
    mill.start()
    diary.drop("rest", 8, "sleep 1000", CLAIM)
    mill.grist("limit", "3")
    assert len(mill.running("rest", 3)) == 3
    said = mill.status()["limit"]
    assert (said["workers"], said["mode"], said["reason"]) == (3, "fixed", "user: fixed at 3 by the user")
    assert "3 workers: set by the user (fixed, 3 busy)" in mill.grist("explain")
    mill.after(1.5)
    assert len(mill.running("rest", 3)) == 3
    mill.grist("limit", "auto")
    mill.until(lambda: mill.status()["limit"]["mode"] == "auto", "it is not given back")
    mill.running("rest", 8)  # they hardly compute, and all of them fit


@pytest.mark.alone
def test_polite_hours_leave_half_of_the_machine_and_say_so(mill: Mill) -> None:
    hours = "00:00-12:00" if datetime.now().hour < 12 else "12:00-24:00"
    write(mill, f'polite = "{hours}"\nnice = 0\n')
    mill.start()
    cores = mill.until(lambda: mill.status()["machine"]["cores"], "the machine was not looked at")
    burn(mill)
    said = mill.until(lambda: (found := why(mill, "polite")) and found["workers"] and found, "the hours bind nothing")
    assert "polite hours until" in said["words"]
    assert "half of the machine" in said["words"]

    def half() -> bool:
        workers, (kind, *_) = why(mill, "polite")["workers"], mill.ask("why")["kinds"]
        return bool(workers and kind["tasks_seen"] > 3 and (workers - 1) * kind["cores"] <= max(1, cores / 2))

    mill.until(half, "more than half of the cores are taken")
    mill.grist("cancel", "burn")


def test_hours_that_leave_all_to_others_start_nothing_and_let_what_runs_go_on(diary: Diary) -> None:
    mill = diary.mill
    mill.start("--limit", "2")
    diary.drop("rest", 6, f"until test -e {mill.base}/go$GRIST_TASK; do sleep 0.05; done", CLAIM)
    mill.running("rest", 2)
    write(mill, 'polite = "00:00-24:00"\npolite_share = 0\n')
    words = "polite hours at all times: nothing is started"
    mill.until(lambda: mill.status()["limit"]["reason"] == f"polite: {words}", "nothing is said of the hours")
    mill.until(lambda: mill.job("rest").get("reason") == words, "the job does not say why it waits")
    (mill.base / "go0").touch()
    mill.until(lambda: mill.job("rest")["items_done"] == 1, "what runs does not end")
    mill.after(1.5)
    assert [task["state"] for task in mill.tasks("rest")[:3]] == ["done", "running", "queued"]
    (mill.base / "go1").touch()
    mill.until(lambda: mill.job("rest")["items_done"] == 2, "what runs does not end")
    mill.after(1.5)
    assert mill.job("rest")["tasks_running"] == 0, "an idle machine is left to others as well"
    told = mill.grist("explain")
    assert told.startswith("0 workers: working hours bind (fixed, 0 busy)")
    assert f"> hours            0  {words}  << binding" in told
    assert f"No worker may run: {words}." in mill.grist("explain", "rest")
    write(mill, "polite = []\n")
    mill.running("rest", 2)


# ── neighbours ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def neighbours() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of somebody else, which end with the test."""
    made: list[subprocess.Popen[bytes]] = []
    yield made
    for process in made:
        process.kill()
        process.wait()


@pytest.mark.alone
@pytest.mark.parametrize(("nice", "words"), [(0, "their work wants"), (10, "work")])
def test_others_who_want_all_cores_are_seen_and_both_get_something_done(
    mill: Mill, neighbours: list[subprocess.Popen[bytes]], nice: int, words: str
) -> None:
    mill.start()
    cores = int(mill.until(lambda: mill.status()["machine"]["cores"], "the machine was not looked at"))
    command = ["nice", "-n", str(nice), sys.executable, "-c", BESIDE]
    neighbours += [subprocess.Popen(command) for _ in range(max(1, cores))]
    burn(mill)
    mill.until(lambda: (found := why(mill, "others")) and found["workers"] and words in found["words"],
               "others bind nothing")  # fmt: skip
    mill.until(lambda: mill.job("burn")["items_done"] >= 5, "no share is left to us")
    theirs = [spent(process.pid) for process in neighbours]
    mill.until(lambda: all(spent(one.pid) > 0.2 + before for one, before in zip(neighbours, theirs, strict=True)),
               "no share is left to them")  # fmt: skip
    mill.grist("cancel", "burn")


def spent(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ── a fault of its own ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_governor_that_fails_is_a_state_that_is_left_and_tasks_go_on(mill: Mill) -> None:
    """Made to fail by what it had learned: lives of tasks as another version might have written them, of 3 points."""
    go = mill.base / "go"
    job = f'command = "until test -e {go}; do sleep 0.05; done"\n[items]\ntotal = 4\nper_task = 1\n'
    mill.start()
    go.touch()
    mill.drop_claimed("known.toml", job)
    mill.ended("known")
    go.unlink()
    mill.kill(signal.SIGTERM)
    with contextlib.closing(sqlite3.connect(mill.state / "queue.db")) as database, database:
        (text,) = database.execute("SELECT value FROM meta WHERE key = 'governor'").fetchone()
        learned = json.loads(text)
        (kind,) = learned["kinds"].values()
        kind.update(wall=1.0, life=[[1.0, 1e6, 0.0]] * 3)
        database.execute("UPDATE meta SET value = ? WHERE key = 'governor'", (json.dumps(learned),))
    record = mill.base / "record"
    mill.start("--record", str(record))
    mill.drop_claimed("known.toml", job)
    mill.until(lambda: "please report this" in mill.condition("governor").get("reason", ""), "nothing is said")
    mill.until(lambda: steps(record)[-1].decision.limit > 1, "it never decides again")
    go.touch()
    assert mill.ended("known")["state"] == "done"


# ── progress ──────────────────────────────────────────────────────────────────────────────────────────────────────


def told(record: Path, job: str) -> set[float | None]:
    """The progress of tasks of a job as the governor was told it so far."""
    running = (task for step in steps(record) for task in step.reading.running)
    return {task.progress for task in running if task.kind.startswith(f"{job}#")}


@pytest.mark.parametrize("way", ["echo ' 42%|####      |'", "echo 0.42 > $GRIST_PROGRESS"])
def test_what_a_task_says_of_its_progress_reaches_the_screens_and_the_governor(mill: Mill, way: str) -> None:
    record = mill.base / "record"
    mill.start("--limit", "1", "--record", str(record))
    mill.drop("said.toml", f'command = """{way}; exec sleep 1000"""\n')
    mill.until(lambda: 0.42 in told(record, "said"), "the governor is told nothing")
    (worker,) = watched(mill)
    assert worker["progress"] == 0.42
    mill.grist("cancel", "said")
    mill.ended("said")
    mill.drop("silent.toml", 'command = "exec sleep 1000"\n')
    mill.running("silent")
    mill.until(lambda: told(record, "silent"), "the next task is not seen")
    mill.after(1.5)
    assert told(record, "silent") == {None}, "the next task has not said that"


def watched(mill: Mill) -> list[dict[str, Any]]:
    """The workers as a screen that has been open for a moment shows them."""
    from gristmill.supervisor.edge.client import Client

    with Client(mill.state / "socket") as client:
        for number, update in enumerate(client.updates()):
            if number >= 2:
                return [worker for worker in update["workers"] if worker["state"] == "running"]
    raise AssertionError("the daemon hung up")
