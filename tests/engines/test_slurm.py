"""Jobs whose tasks run in Slurm: a real one, on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.engines import cluster, spaces
from tests.engines.cluster import Cluster
from tests.mill import Mill
from tests.waiting import DEADLINE, until

ROOT = Path(__file__).parents[2]

MIXED = """where = "slurm"
command = "echo item {index}; echo {index} > $GRIST_RESULT; exit $(( {index} % 5 == 4 ))"
[items]
total = 50
"""


def test_fifty_tasks_run_there_with_their_results_logs_and_exit_codes(mill: Mill, slurm: Cluster) -> None:
    mill.start()
    mill.drop("fifty.toml", MIXED)
    assert mill.ended("fifty")["state"] == "failed"
    tasks = mill.tasks("fifty")
    assert [task["exit_code"] for task in tasks] == [int(index % 5 == 4) for index in range(50)]
    assert {task["where"] for task in tasks} == {"slurm"} and {task["attempts"] for task in tasks} == {1}
    assert {task["host"] for task in tasks} == {"n1", "n2"} and all("_" in task["engine_id"] for task in tasks)
    assert Path(tasks[7]["log"]).read_text() == "item 7\n"
    rows = [json.loads(line) for line in mill.grist("results", "fifty", "--json").splitlines()]
    assert [row["result"] for row in rows] == list(range(50))
    assert slurm.queue() == []


FATES: dict[str, tuple[str, str, dict[str, object]]] = {
    "signal": ("kill -9 $$", "", {"state": "failed", "signal": 9}),
    "large": ("exit 300", "", {"state": "failed", "exit_code": 44}),
    "nothing": ('["/no/such/program"]', "", {"state": "failed", "exit_code": 127}),
    "late": ("sleep 60", "timeout = 1.5", {"state": "timeout"}),
    "stubborn": ("trap '' TERM; sleep 60; sleep 60", "timeout = 1\ngrace = 0.5", {"state": "timeout", "signal": 9}),
    "nowhere": ("true", 'cwd = "GONE"', {"state": "failed", "exit_code": 127}),
    "greedy": (
        "python3 -c \"x = bytearray(400 << 20); import time; time.sleep(30)\"", 'resources = { memory = "60 MiB" }',
        {"state": "oom"},
    ),
}  # fmt: skip


def test_tasks_end_there_as_they_would_here(mill: Mill, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    mill.start()
    for name, (command, more, _) in FATES.items():
        run = command if command.startswith("[") else json.dumps(command)
        mill.drop(f"{name}.toml", f'where = "slurm"\ncommand = {run}\n{more.replace("GONE", str(gone))}\n')
        if name == "nowhere":
            mill.until(lambda: mill.job("nowhere"), "the job is not accepted")
            gone.rmdir()
    for name, (_, _, expected) in FATES.items():
        mill.ended(name)
        task = mill.tasks(name)[0]
        assert {key: task[key] for key in expected} == expected, (name, task)
    late = mill.tasks("late")[0]
    assert 1.4 < late["ended_at"] - late["started_at"] < 30, "by its timeout, however slow the machine"


def test_tasks_and_jobs_are_canceled_there(mill: Mill, slurm: Cluster) -> None:
    mill.start()
    mill.drop("long.toml", 'where = "slurm"\ncommand = "setsid sleep 600 & echo up; sleep 600"\n[items]\ntotal = 12\n')
    mill.running("long", 8)
    mill.grist("cancel", "long/0", "long/11")
    mill.until(lambda: {mill.tasks("long")[at]["state"] for at in (0, 11)} == {"canceled"}, "they are not canceled")
    assert len([task for task in mill.tasks("long") if task["state"] in ("queued", "running")]) == 10
    mill.grist("cancel", "long")
    assert mill.ended("long")["state"] == "canceled"
    assert {task["state"] for task in mill.tasks("long")} == {"canceled"}
    Cluster.until(lambda: not slurm.queue(), "Slurm to be done with them")


def test_no_more_run_at_once_than_the_job_allows_and_jobs_wait_for_each_other(mill: Mill, slurm: Cluster) -> None:
    mill.start()
    mill.drop("few.toml", 'where = "slurm"\ncommand = "sleep 1"\n[items]\ntotal = 6\n[limits]\nworkers = 2\n')
    mill.drop("then.toml", 'where = "slurm"\ncommand = "true"\nafter = "few"\n')
    seen: list[str] = []

    def over() -> bool:
        seen.append(slurm.run("squeue", "-h", "-r", "-t", "R,CG").stdout)
        return mill.job("few").get("ended_at") is not None

    until(over, lambda: f"{seen[-1]}\n{mill.errors.read_text()}", 2 * DEADLINE)
    assert max(words.count("grist") for words in seen) == 2
    assert mill.ended("then")["state"] == "done"
    assert mill.job("then")["started_at"] >= mill.job("few")["ended_at"]


def test_a_task_finds_its_environment_its_script_and_its_card(mill: Mill, slurm: Cluster, tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    for name in ("python", "mine"):
        (tmp_path / "venv" / "bin" / name).write_text("#!/bin/sh\necho from the venv\n")
        (tmp_path / "venv" / "bin" / name).chmod(0o755)
    script = ('#!/bin/sh\n#GRIST where = "slurm"\n#GRIST venv = "VENV"\n#GRIST env = { GIVEN = "1 2" }\n'
              "#GRIST resources = { gpus = 1 }\n#GRIST slurm = { prologue = 'export LOADED=yes' }\n"
              '#GRIST items = { list = ["a b"] }\n'
              'mine; echo "$GIVEN $LOADED $GRIST_ITEM $CUDA_VISIBLE_DEVICES $PWD"\n')  # fmt: skip
    mill.start()
    mill.drop("env.sh", script.replace("VENV", str(tmp_path / "venv")))
    assert mill.ended("env")["state"] == "done"
    text = Path(mill.tasks("env")[0]["log"]).read_text()
    assert text == f"from the venv\n1 2 yes a b 0 {tmp_path}\n"
    weighed = mill.until(lambda: (found := mill.ask("clean", ids=["env"], dry=True))["count"] and found, "it stays")
    assert weighed["bytes"] > 30_000, "what lies in the shared folder weighs as well"
    mill.grist("remove", "env")
    mill.until(lambda: not Path(mill.tasks("env")[0]["log"]).exists() if mill.job("env") else True, "its log stays")


def test_what_slurm_will_never_take_fails_and_what_it_does_not_take_now_waits(mill: Mill, slurm: Cluster) -> None:
    mill.start()
    mill.drop("never.toml", 'where = "slurm"\ncommand = "true"\n[slurm]\npartition = "nosuch"\n')
    assert mill.ended("never")["state"] == "failed"
    assert "invalid partition" in mill.tasks("never")[0]["reason"]
    slurm.run("scontrol", "update", "partition=short", "state=inactive")
    try:
        mill.drop("later.toml", 'where = "slurm"\ncommand = "true"\n[slurm]\npartition = "short"\n')
        mill.until(lambda: "not available" in mill.job("later").get("reason", ""), "nobody says why it waits")
    finally:
        slurm.run("scontrol", "update", "partition=short", "state=up")
    assert mill.ended("later")["state"] == "done" and mill.tasks("later")[0]["attempts"] == 1


def test_ranges_are_chosen_for_the_engine_s_overhead(mill: Mill, slurm: Cluster) -> None:
    mill.start()
    mill.drop("ranges.toml", 'where = "slurm"\ncommand = "seq {start} $(({start} + {count} - 1)) >> all"\n'
                             "[items]\ntotal = 3000\n")  # fmt: skip
    assert mill.ended("ranges")["state"] == "done"
    assert mill.job("ranges")["tasks"] < 100
    found = sorted(map(int, (mill.base / "all").read_text().split()))
    assert found == list(range(3000)), "each item once"


def test_what_is_not_done_here_in_time_goes_beyond(mill: Mill, slurm: Cluster) -> None:
    (mill.jobs / ".gristmill" / "settings.toml").write_text('beyond_after = "2s"\nlimit = 1\n')
    mill.start()
    mill.drop_claimed("auto.toml", 'where = "auto"\ncommand = "sleep 1"\nitems = { total = 20 }\n')
    assert mill.ended("auto")["state"] == "done"
    where = [task["where"] for task in mill.tasks("auto")]
    assert where.count("local") >= 2 and where.count("slurm") >= 8


def test_a_job_is_written_as_a_script_that_sbatch_takes(mill: Mill, slurm: Cluster) -> None:
    mill.start("--limit", "2")
    mill.drop("made.toml", 'command = "echo {x} $GRIST_TASK > out-{x}"\n[grid]\nx = ["a", "b c", "d\'e"]\n')
    mill.ended("made")
    for path in mill.base.glob("out-*"):
        path.unlink()
    text = mill.grist("export", "sbatch", "made")
    assert "#SBATCH --array=0-2" in text and "measured over 3 tasks" in text
    (mill.base / "made.sbatch").write_text(text)
    done = slurm.run("sbatch", "--wait", f"--chdir={mill.base}", "--output=/dev/null", str(mill.base / "made.sbatch"))
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_text() for path in mill.base.glob("out-*")} == {
        "out-a": "a 0\n", "out-b c": "b c 1\n", "out-d'e": "d'e 2\n",
    }  # fmt: skip


def test_a_job_file_is_handed_to_a_daemon_on_another_machine(mill: Mill, tmp_path: Path) -> None:
    mill.start()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text('#!/bin/sh\n[ "$2" = login.cluster ] || exit 255\nshift 2; exec sh -c "$*"\n')
    (tmp_path / "bin" / "grist").write_text(f'#!/bin/sh\nexec {sys.executable} -m gristmill.supervisor.cli "$@"\n')
    for name in ("ssh", "grist"):
        (tmp_path / "bin" / name).chmod(0o755)
    mill.env = {**mill.env, "PATH": f"{tmp_path}/bin:{mill.env['PATH']}"}
    (tmp_path / "it's.toml").write_text('where = "slurm"\ncommand = "true"\n')
    said = mill.grist("submit", "--host", "login.cluster", str(tmp_path / "it's.toml"))
    assert said == "job 1 it's: 1 items\n"
    assert mill.ended("it's")["state"] == "done"
    assert "ssh did not get there" in mill.grist("submit", "--host", "nowhere", str(tmp_path / "it's.toml"), code=2)


def test_all_of_it_works_for_an_ordinary_user() -> None:
    if os.getuid():
        pytest.skip("all tests here run as an ordinary user already")
    if why := cluster.missing() or spaces.no_user():
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="gu", dir="/tmp") as home:  # short: sockets lie in it
        argv = [*spaces.AS_NOBODY, sys.executable, "-m", "pytest", "-p", "no:cacheprovider",
                f"--basetemp={home}/t", "-k", "fifty or canceled_there", __file__]  # fmt: skip
        done = subprocess.run(argv, cwd=ROOT, env={**os.environ, "HOME": home}, capture_output=True, text=True,
                              check=False, timeout=200)  # fmt: skip
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr
