"""A story: the cases of a table, in batches, through two nodes, and what they add up to."""

from __future__ import annotations

import json
from collections import Counter

from tests.engines.cluster import Cluster
from tests.mill import Mill

MODULE = """
import csv, json, os, pathlib, time
cases = []
def load():
    with open("cases.csv", newline="") as file:
        cases.extend(csv.DictReader(file))
    with open("loads", "a") as file:
        file.write(os.environ.get("GRIST_HOST", "home") + "\\n")
def score(start, count):
    batch, end = cases[start : start + count], time.monotonic() + 100
    while not {"n1", "n2"} <= set(pathlib.Path("loads").read_text().split()) and time.monotonic() < end:
        time.sleep(0.05)  # two of four fill a node: the third begins on the other, however slowly Slurm starts them
    time.sleep(0.02 * len(batch))
    with open("scored", "a") as file:
        file.write("".join(case["name"] + " " + os.environ["GRIST_HOST"] + "\\n" for case in batch))
    return [{"name": case["name"], "score": int(case["value"]) ** 2} for case in batch]
def merge(path):
    with open(path) as file:
        print(sum(json.loads(line)["result"]["score"] for line in file), "in", len(cases), "cases")
"""
JOB = """
call = "batches:score"
preload = "batches:load"
where = "slurm"
resources = { cpus = 2 }
[items]
file = "cases.csv"
per_task = "auto"
[finally]
call = "batches:merge"
"""


def test_a_table_is_scored_in_batches_on_two_nodes_and_merged_at_home(mill: Mill, slurm: Cluster) -> None:
    rows = [f"case-{number},{number}\n" for number in range(200)]
    (mill.base / "cases.csv").write_text("name,value\n" + "".join(rows))
    (mill.base / "batches.py").write_text(MODULE)
    mill.start()
    mill.drop("story.toml", JOB)
    assert mill.ended("story")["state"] == "done", mill.job("story")["reason"]
    scored = [line.split() for line in (mill.base / "scored").read_text().splitlines()]
    assert Counter(name for name, _ in scored) == {f"case-{number}": 1 for number in range(200)}, "each item once"
    assert {host for _, host in scored} == {"n1", "n2"}, "both nodes"
    found = [json.loads(line) for line in mill.grist("results", "story", "--json").splitlines()]
    assert {row["item"]: row["result"] for row in found} == {
        number: {"name": f"case-{number}", "score": number**2} for number in range(200)
    }
    last = mill.tasks("story")[-1]
    assert (last["state"], last["where"]) == ("done", "local")
    assert mill.grist("log", "story/finally") == f"{sum(n * n for n in range(200))} in 200 cases\n"
    loads = Counter((mill.base / "loads").read_text().split())
    ranges = len({row["task"] for row in found})
    assert ranges < 100 and loads.pop("home") == 1 and sum(loads.values()) <= ranges, "one import a slot, one at home"
