"""How tasks ended that left no record, and that Slurm itself has forgotten by then: with its accounts, and without."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import accounts
from tests.engines.cluster import Cluster
from tests.engines.conftest import made
from tests.mill import Mill
from tests.waiting import until

PARTITIONS = """\
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
PartitionName=steady Nodes=ALL PriorityTier=10 MaxTime=INFINITE State=UP"""
COMMAND = "echo {NAME} >> begun; [ ! -e go ] || exit 0; "
"""Each begins, and ends well once it is run again."""
GREEDY = ("while [ ! -e grow ]; do sleep 0.1; done; "
          "exec python3 -c 'import time; x = bytearray(400 << 20); time.sleep(600)'")  # fmt: skip
JOBS = {
    "memory": (GREEDY, 'resources = { memory = "60 MiB" }', "steady", "n1"),
    "time": ("sleep 600", "", "steady", "n1"),
    "stopped": ("sleep 600", "", "steady", "n1"),
    "preempted": ("sleep 600", "resources = { gpus = 1 }", "main", "n1"),
    "node": ("sleep 600", "", "steady", "n2"),
}
"""What each runs, what it needs, its partition and its node."""
WITH = {
    "memory": ("oom", "killed for lack of memory; slurm: out of memory, as claimed or learned on n1"),
    "time": ("timeout", "slurm: TIMEOUT on n1"),
    "stopped": ("canceled", "slurm: CANCELLED by "),
    "preempted": ("done", ""),
    "node": ("lost", "it left no record on n2: slurm says NODE_FAIL"),
}
WITHOUT = WITH | {
    "time": ("timeout", "slurm: past its time limit on n1"),
    "stopped": ("canceled", "slurm: cancelled by somebody on n1"),
    "node": ("lost", "it left no record on n2"),
}
"""Who is ended by Slurm has its word in the log; a node that is gone says nothing."""


@contextlib.contextmanager
def house(base: Path, kept: bool) -> Iterator[tuple[Mill, Cluster]]:
    """A mill on a cluster of its own, which forgets soon."""
    base.mkdir()
    with made(accounting=kept, min_job_age=2, more=PARTITIONS) as slurm, Mill(base) as mill:
        mill.env = {**mill.env, "SLURM_CONF": slurm.env["SLURM_CONF"]}
        (mill.jobs / ".gristmill").mkdir(0o700)
        (mill.jobs / ".gristmill" / "settings.toml").write_text('lost_after = "2s"\n')
        mill.start()
        yield mill, slurm


@pytest.mark.timeout(600)  # a minute of it is Slurm's: it looks for time limits twice a minute
def test_what_slurm_forgot_is_told_by_its_accounts_where_it_keeps_some(tmp_path: Path) -> None:
    if why := accounts.missing():
        pytest.skip(why)
    with house(tmp_path / "with", kept=True) as one, house(tmp_path / "without", kept=False) as other:
        for mill, _ in (one, other):
            for name, (command, more, partition, node) in JOBS.items():
                line = COMMAND.replace("{NAME}", name) + command
                mill.drop(f"{name}.toml", f'where = "slurm"\ncommand = """{line}"""\n{more}\n[slurm]\n'
                          f'partition = "{partition}"\nextra = ["--nodelist={node}"]\n')  # fmt: skip
        for mill, slurm in (one, other):
            ids = {name: _called(mill, name) for name in JOBS}
            mill.kill()
            _end(mill, slurm, ids)
        for mill, slurm in (one, other):
            _forget(slurm)
            (mill.base / "go").touch()
            mill.start()
        for (mill, slurm), expected in ((one, WITH), (other, WITHOUT)):
            print(f"\nsacct {'there' if slurm.accounting else 'not there'}")
            for name, (state, words) in expected.items():
                mill.ended(name)
                task = mill.tasks(name)[0]
                print(f"  {name:10} {task['state']:9} {task['reason']}")
                assert task["state"] == state and task["reason"].startswith(words), (name, task)
            begun = (mill.base / "begun").read_text().split()
            assert {name: begun.count(name) for name in JOBS} == dict.fromkeys(JOBS, 1) | {"preempted": 2}


def _forget(slurm: Cluster) -> None:
    """Waits for Slurm to forget them, which a busy machine's takes minutes for."""
    until(slurm.has_forgotten, lambda: f"Slurm still has {slurm.queue()}", 240, 0.1)


def _called(mill: Mill, name: str) -> str:
    """What Slurm calls a job's task, once it has begun."""
    mill.running(name)
    mill.until(lambda: name in (mill.base / "begun").read_text().split(), f"{name} has not begun")
    found: str = mill.until(lambda: mill.tasks(name)[0]["engine_id"], f"nobody knows what Slurm calls {name}")
    return found


def _end(mill: Mill, slurm: Cluster, ids: dict[str, str]) -> None:
    """Has Slurm end each in its own way, while no daemon is there to see it."""
    (mill.base / "grow").touch()
    slurm.run("scontrol", "update", f"jobid={ids['time']}", "endtime=now")
    slurm.run("scancel", ids["stopped"])
    slurm.run("sbatch", "--partition=steady", "--nodelist=n1", "--gres=gpu:2", "--output=/dev/null", "--wrap", "true")
    slurm.lose("n2")
