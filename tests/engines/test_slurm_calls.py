"""Calls in Slurm: imported once a slot, in ranges that the daemon chooses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engines.cluster import Cluster
from tests.mill import Mill


@pytest.mark.parametrize("isolation", ["fork", "reuse"])
def test_ranges_of_calls_run_there_after_one_preload_a_slot(mill: Mill, slurm: Cluster, isolation: str) -> None:
    loads = mill.base / "loads"
    mill.base.joinpath("cubes.py").write_text(
        f"def load():\n    open({str(loads)!r}, 'a').write('x')\n"
        "def make(start, count):\n    return [n ** 3 for n in range(start, start + count)]\n"
    )
    mill.start()
    mill.drop("cubes.toml", f'call = "cubes:make"\npreload = "cubes:load"\nisolation = "{isolation}"\nwhere = "slurm"\n'
              f'cwd = "{mill.base}"\n[items]\ntotal = 500\nper_task = "auto"\n')  # fmt: skip
    assert mill.ended("cubes")["state"] == "done"
    rows = [json.loads(line) for line in mill.grist("results", "cubes", "--json").splitlines()]
    assert {row["item"]: row["result"] for row in rows} == {n: n**3 for n in range(500)}
    assert 1 <= len(loads.read_text()) < 20  # short calls: what is not known yet goes alone, then ranges grow
    assert "WHERE" in mill.grist("status", "cubes")


def test_an_import_that_fails_there_fails_the_job_once(mill: Mill, slurm: Cluster) -> None:
    (mill.base / "frail.py").write_text("import no_such_module\n")
    mill.start()
    mill.drop("frail.toml", f'call = "frail:f"\nwhere = "slurm"\ncwd = "{mill.base}"\nitems = {{ total = 40 }}\n'
                            "retry = { attempts = 3 }\n")  # fmt: skip
    job = mill.ended("frail")
    words, _, path = job["reason"].partition("; its traceback is in ")
    said = "importing frail failed: ModuleNotFoundError: No module named 'no_such_module' – on n"
    assert job["state"] == "failed" and words[:-1] == said
    assert 'frail.py", line 1' in Path(path).read_text()
    assert {(task["state"], task["reason"]) for task in mill.tasks("frail")} == {("canceled", "its job has failed")}
    slurm.until(lambda: not slurm.queue(), "Slurm to have nothing of it any more")
    (mill.base / "frail.py").write_text("def f(index):\n    return index\n")
    mill.grist("retry", "frail")
    mill.until(lambda: mill.job("frail")["state"] == "done", "it did not go on when that was mended")
    assert {task["attempts"] for task in mill.tasks("frail")} == {1}
