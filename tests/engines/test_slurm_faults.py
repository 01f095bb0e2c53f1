"""What fails around tasks in Slurm, and what of it they notice: the daemon, the controller, a node, munge, a limit.

Each gives a row: how often tasks began, how many are lost, how many ran twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.cluster import Cluster
from tests.engines.conftest import made
from tests.engines.witness import BEGINS, Account, runs
from tests.mill import Mill


@pytest.fixture
def slurm() -> Iterator[Cluster]:
    """A cluster that a test may break."""
    with made() as cluster:
        yield cluster


def job(command: str, total: int, more: str = "") -> str:
    """A job file of so many tasks."""
    return f'where = "slurm"\ncommand = "{BEGINS}{command}"\n{more}\n[items]\ntotal = {total}\n'


def test_a_daemon_that_is_killed_finds_all_of_it_again(mill: Mill, slurm: Cluster, account: Account) -> None:
    mill.start()
    mill.drop("adopted.toml", job("sleep 1; exit $(( {index} % 7 == 3 ))", 30))
    for least in (3, 9):
        runs(mill, least)
        mill.kill()
        mill.start()
    mill.ended("adopted")
    assert [task["exit_code"] for task in mill.tasks("adopted")] == [int(at % 7 == 3) for at in range(30)]
    account("Slurm: the daemon killed twice", mill, "adopted")


def test_how_tasks_ended_is_known_when_slurm_has_forgotten_them(mill: Mill, slurm: Cluster, account: Account) -> None:
    mill.start()
    mill.drop("forgotten.toml", job("exit {index}", 3))
    mill.until(lambda: mill.job("forgotten") and slurm.queue(), "nothing was handed over")
    mill.kill()
    runs(mill, 3)
    slurm.until(slurm.has_forgotten, "Slurm to forget")
    mill.start()
    mill.ended("forgotten")
    assert [task["exit_code"] for task in mill.tasks("forgotten")] == [0, 1, 2]
    account("Slurm: daemon away until Slurm had forgotten all", mill, "forgotten")


def test_a_chunk_that_was_never_handed_over_is_handed_over_anew(mill: Mill, slurm: Cluster, account: Account) -> None:
    slow = mill.base / "bin"  # an sbatch that takes its time, so that the daemon is killed meanwhile
    slow.mkdir()
    (slow / "sbatch").write_text('#!/bin/sh\n: > "$HOME/asked"\nwhile [ ! -e "$HOME/go" ]; do sleep 0.1; done\n'
                                 'PATH=${PATH#*:} exec sbatch "$@"\n')  # fmt: skip
    (slow / "sbatch").chmod(0o755)
    path = mill.env["PATH"]
    mill.env = {**mill.env, "PATH": f"{slow}:{path}"}
    mill.start()
    mill.drop("unheard.toml", job("true", 4))
    mill.until((mill.base / "asked").exists, "nothing was handed over")
    mill.kill()
    mill.env = {**mill.env, "PATH": path}
    mill.start()
    mill.ended("unheard")
    (mill.base / "go").touch()  # and now the first one comes through after all
    Cluster.until(lambda: slurm.run("squeue", "-h", "-t", "all", "-o", "%j").stdout.count("-1.1\n") == 4
                  and not slurm.queue(), "the late chunk to pass")  # fmt: skip
    account("Slurm: killed while it handed over, the chunk comes later", mill, "unheard")


def test_a_controller_that_is_away_for_a_while_loses_nothing(mill: Mill, slurm: Cluster, account: Account) -> None:
    mill.start()
    mill.drop("late.toml", job("sleep 12", 6))
    runs(mill, 6)
    slurm.settle()  # it has written down what it knows
    slurm.kill("slurmctld")
    mill.until(lambda: mill.ask("status")["engines"][0]["state"] == "silent", "nobody notices")
    assert {task["state"] for task in mill.tasks("late")} <= {"running", "done"}, "silence is no news"
    slurm.start("slurmctld")
    assert mill.ended("late")["state"] == "done"
    account("Slurm: slurmctld killed when it had saved its state", mill, "late")


def test_without_munge_nothing_is_known_and_nothing_changes(mill: Mill, slurm: Cluster, account: Account) -> None:
    mill.start()
    mill.drop("mute.toml", job("sleep 1", 9))
    runs(mill, 1)
    slurm.kill("munged")
    mill.until(lambda: mill.ask("status")["engines"][0]["state"] == "silent", "nobody notices")
    (slurm.base / "munge" / "munge.socket").unlink(missing_ok=True)
    slurm.start("munged")
    assert mill.ended("mute")["state"] == "done"
    account("Slurm: munge away for half a minute", mill, "mute")


def test_a_controller_that_is_killed_at_once_runs_no_task_twice(mill: Mill, slurm: Cluster, account: Account) -> None:
    mill.start()
    mill.drop("early.toml", job("sleep 1", 16, "retry = { attempts = 3, on = ['lost'], backoff = 0.1 }"))
    runs(mill, 4)
    slurm.kill("slurmctld")
    slurm.start("slurmctld")
    Cluster.until(slurm.answers, "slurmctld")
    resume = ("scontrol", "update", "nodename=n[1-2]", "state=resume")  # they were drained: "Duplicate jobid"
    mill.until(lambda: slurm.run(*resume).args and mill.job("early")["ended_at"], "it has not ended")
    account("Slurm: slurmctld killed at once after the starts", mill, "early")


def test_a_node_that_is_gone_loses_its_tasks_which_run_elsewhere(mill: Mill, slurm: Cluster, account: Account) -> None:
    mill.start()
    mill.drop("node.toml", job("[ $GRIST_ATTEMPT = 2 ] || sleep 60", 1,
                               "retry = { attempts = 2, on = ['lost'], backoff = 0.1 }"))  # fmt: skip
    runs(mill, 1)
    mill.until(lambda: all(task["host"] for task in mill.tasks("node")), "nobody knows where they are")
    host = mill.tasks("node")[0]["host"]
    slurm.lose(host)
    try:
        mill.until(lambda: mill.tasks("node")[0]["state"] == "done", "it ran nowhere else")
    finally:
        slurm.start(host)
        slurm.resume()
    first = mill.tasks("node")[0]
    assert first["attempts"] == 2 and first["host"] != host
    account("Slurm: a node killed for good, with retry.on = lost", mill, "node", again=1)


def test_what_slurm_starts_twice_runs_once(mill: Mill, slurm: Cluster, tmp_path: Path, account: Account) -> None:
    mill.start()
    mill.drop("double.toml", job("sleep 3", 6))
    runs(mill, 6)
    (slot,) = mill.jobs.glob(".gristmill/beyond/*/1/1/slot")
    slurm.run("sbatch", "--array=0-5", "--output=/dev/null", "--wrap", f'sh {slot} "$SLURM_ARRAY_TASK_ID"')
    mill.ended("double")
    Cluster.until(lambda: not slurm.queue(), "the second array to pass")
    account("Slurm: every chunk handed over twice", mill, "double")


def test_past_the_limit_of_what_slurm_takes_they_wait_and_say_so(tmp_path: Path, account: Account) -> None:
    with made(max_jobs=12) as slurm, Mill(tmp_path) as mill:
        mill.env = {**mill.env, "SLURM_CONF": slurm.env["SLURM_CONF"]}
        mill.start()
        mill.drop("many.toml", job("true", 16))
        mill.until(lambda: "unable to accept" in mill.job("many").get("reason", ""), "nobody says why they wait")
        assert mill.ended("many")["state"] == "done"
        account("Slurm: submit limit reached", mill, "many")
