"""Sudden deaths under load: of the daemon, of workers and spawner, and daemons that find their workers frozen."""

from __future__ import annotations

import functools
import os
import random
import signal
import subprocess

import pytest

from tests.faults.load import BRISK, LONG, SLAIN, Load, linger, spawners, workers
from tests.mill import Mill
from tests.processes import alive, slay

SHORT_KILLS, FULL_KILLS = 10, 200


def begin(mill: Mill, chance: random.Random) -> None:
    """Starts a daemon and does not wait for it: it may be killed before it is ready."""
    mill.process = mill.spawn(
        "daemon", "--allow-root", "--limit", str(chance.choice((2, 4, 6))), stdout=subprocess.PIPE
    )


def live(mill: Mill, load: Load, chance: random.Random) -> None:
    """Lets a daemon live until a random moment: of its start, or of the work, of which there is always some left."""
    if load.left() < 20:
        load.drop()
    fresh = mill.process is None
    if fresh:
        begin(mill, chance)
    if fresh and chance.random() < 0.25:
        linger(chance.uniform(0.05, 0.6))
    else:
        moment = load.begun() + chance.randint(1, min(20, load.left()))
        mill.until(functools.partial(far, load, moment), "no progress")
        linger(chance.uniform(0, 0.1))


def far(load: Load, moment: int) -> bool:
    """Whether so many tasks have begun."""
    return load.begun() >= moment


def check_nothing_left(mill: Mill) -> None:
    """When all has ended, no run folder remains but those of workers that wait for more."""
    mill.until(
        lambda: len(list((mill.state / "runs").iterdir())) == len(workers(mill)), "run folders are left behind"
    )
    assert list((mill.jobs / ".gristmill" / "spool").iterdir()) == []


@pytest.mark.timeout(1800)
def test_a_daemon_killed_again_and_again_loses_nothing_and_runs_nothing_twice(
    mill: Mill, full: bool, chance: random.Random
) -> None:
    load = Load(mill)
    for _ in range(FULL_KILLS if full else SHORT_KILLS):
        live(mill, load, chance)
        mill.kill()
        if chance.random() < 0.3:
            linger(chance.uniform(0, 0.4))
    mill.start("--limit", "6")
    load.check()
    load.check_places()
    check_nothing_left(mill)


def kill_at_random(mill: Mill, load: Load, chance: random.Random, rounds: int) -> int:
    """Kills daemons, workers and spawners while tasks run; returns how many workers it was, a new daemon at work."""
    killed = 0
    for _ in range(rounds):
        live(mill, load, chance)
        match chance.choice(("daemon", "worker", "worker", "spawners", "all")):
            case "daemon":
                mill.kill()
            case "worker":
                killed += sum(map(slay, chance.sample(living := workers(mill), min(2, len(living)))))
            case "spawners":
                list(map(slay, spawners(mill)))
            case "all":
                victims = [*spawners(mill), *(living := workers(mill))]
                chance.shuffle(victims)
                list(map(slay, victims))
                killed += len(living)
                mill.kill()
    if mill.process is not None:
        mill.kill()
    mill.start("--limit", "6")
    return killed


@pytest.mark.timeout(1800)
def test_killed_workers_cost_at_most_their_own_task_and_cut_none(mill: Mill, full: bool, chance: random.Random) -> None:
    load = Load(mill)
    killed = kill_at_random(mill, load, chance, FULL_KILLS if full else SHORT_KILLS)
    lost = load.check(most_lost=killed)
    print(f"{killed} workers killed, {lost} tasks lost")
    load.check_places()


def test_the_task_of_a_killed_worker_runs_on_and_is_lost_only_at_its_end(turning: Mill) -> None:
    turning.drop_claimed("two.toml",
                         """command = "echo $$ >> pids; while ! test -e go; do sleep 0.05; done; echo e >> ended"
[items]
total = 2
per_task = 1
""")
    turning.running("two", 2)
    try:
        for pid in workers(turning):
            slay(pid)
        turning.until(lambda: not workers(turning), "the workers live on")
        turning.kill()
        turning.start("--limit", "2")
        assert [task["state"] for task in turning.running("two", 2)] == ["running"] * 2
        pids = [int(pid) for pid in (turning.base / "pids").read_text().split()]
        assert all(alive(pid) for pid in pids)
    finally:
        (turning.base / "go").touch()
    job = turning.ended("two")
    assert (job["state"], job["items_failed"]) == ("failed", 2)
    assert [(task["state"], task["attempts"]) for task in turning.tasks("two")] == [("lost", 1)] * 2
    assert (turning.base / "ended").read_text() == "e\ne\n"
    assert not any(alive(pid) for pid in pids)
    turning.grist("retry", "two")
    assert turning.ended("two")["items_done"] == 2
    assert (turning.base / "ended").read_text() == "e\n" * 4


@pytest.mark.timeout(1800)
def test_workers_that_were_frozen_while_the_daemon_changed_start_nothing_twice(
    mill: Mill, full: bool, chance: random.Random
) -> None:
    load = Load(mill)
    for _ in range(60 if full else 3):
        mill.start("--limit", "4")
        load.drop((BRISK, LONG))
        moment = load.begun() + chance.randint(20, 250)
        mill.until(functools.partial(far, load, moment), "no progress")
        living = workers(mill)
        frozen = chance.sample(living, chance.randint(1, len(living)))
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        linger(chance.uniform(0, 0.2))
        mill.kill()
        early = [pid for pid in frozen if chance.random() < 0.3]
        try:
            begin(mill, chance)
            linger(chance.uniform(0.0, 0.6))
            thaw(early)
            linger(chance.uniform(0.0, 0.8))
        finally:
            thaw(frozen)
        mill.kill()
    mill.start("--limit", "6")
    load.check()
    load.check_places()
    check_nothing_left(mill)


def test_a_worker_that_thaws_with_unread_tasks_starts_none_of_them(turning: Mill) -> None:
    claimed = '[resources]\nmemory = "4 MiB"\n'  # of a kind that claims nothing one task would run first
    waits = 'command = "while ! test -e go; do sleep 0.05; done"\n'
    turning.drop("warm.toml", f"{waits}{claimed}[items]\ntotal = 2\nper_task = 1\n")
    turning.running("warm", 2)
    (turning.base / "go").touch()
    turning.ended("warm")
    frozen = workers(turning)
    assert len(frozen) == 2
    load = Load(turning)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        load.drop((SLAIN,), claimed)
        turning.until(
            lambda: turning.job("slain0") and [t["state"] for t in turning.tasks("slain0")][:2] == ["starting"] * 2,
            "nothing was sent",
        )
        turning.kill()
        assert load.begun() == 0
        turning.start("--limit", "4")
        load.check()
    finally:
        thaw(frozen)
    turning.until(lambda: not set(workers(turning)) & set(frozen), "the thawed workers did not leave")
    turning.until(lambda: not any(alive(pid) for pid in frozen), "the thawed workers live on")
    load.check()


def thaw(pids: list[int]) -> None:
    """Lets frozen processes go on; some may have ended in the meantime, thawed before."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue
