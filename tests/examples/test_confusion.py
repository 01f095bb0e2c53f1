"""Ranges and the step that gathers them: guesses are checked against arithmetic of this file's own, and a whole daemon
runs the job as it is shipped."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.mill import Mill
from tests.waiting import until

FILE = "confusion.toml"


def test_the_nearest_of_each_image_is_named(run_task: Callable[..., Any], examples: Path) -> None:
    ended = run_task(FILE, start=500, count=4, results="")
    assert ended.code == 0, ended.log
    table = np.loadtxt(examples / "data" / "digits.csv.gz", delimiter=",")
    images, labels = table[:, :64], table[:, 64]
    for index, entry in enumerate(ended.result, 500):
        far = np.linalg.norm(images - images[index], axis=1)
        far[index] = np.inf
        assert entry["distance"] == round(float(far.min()), 3)
        assert far[entry["nearest"]] == far.min()
        assert (entry["label"], entry["guess"]) == (labels[index], labels[entry["nearest"]])


def test_without_a_result_file_it_prints_a_line_an_image(run_task: Callable[..., Any]) -> None:
    ended = run_task(FILE, keeps_result=False, start=0, count=3, results="")
    assert [json.loads(line)["label"] for line in ended.log.splitlines()] == [0, 1, 2]


@pytest.mark.timeout(600)
def test_the_whole_job_ends_with_a_table_of_all_images(tmp_path: Path, examples: Path) -> None:
    with Mill(tmp_path) as mill:
        shutil.copytree(examples, mill.jobs / "examples")
        mill.start("--limit", "2")
        mill.drop(FILE, (examples / FILE).read_text())
        until(lambda: mill.job("confusion").get("ended_at"), "it does not end", 400)  # it learns from 1,797 images
        job = mill.ended("confusion")
        assert (job["state"], job["items_done"]) == ("done", 1797), job["reason"]
        assert job["tasks"] < 900, "ranges, not images one by one"
        last = mill.tasks("confusion")[-1]
        log = mill.grist("log", last["id"])
        found = re.search(r"^(\d+) of 1797 are right; 0 failed$", log, re.MULTILINE)
        assert found is not None, log
        assert int(found[1]) > 1750
        exported = mill.jobs / "done" / "confusion.results.csv"
        mill.until((mill.jobs / "done" / FILE).exists, "the file was not moved")
        rows = list(csv.DictReader(exported.read_text().splitlines()))
        assert [int(row["item"]) for row in rows] == list(range(1797))
        assert sum(row["label"] == row["guess"] for row in rows) == int(found[1])
