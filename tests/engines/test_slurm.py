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
