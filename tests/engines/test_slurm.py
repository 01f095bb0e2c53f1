"""Jobs whose tasks run in Slurm: a real one, on loopback."""

from __future__ import annotations

import json
from pathlib import Path

from tests.engines.cluster import Cluster
from tests.mill import Mill

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
    assert 1.4 < late["ended_at"] - late["started_at"] < 3
