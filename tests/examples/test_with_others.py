"""The examples that have to do with others: a job before them, people, Slurm, a card. A daemon runs them as shipped."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.mill import Mill

TOGETHER = ("then_count.toml", "first_split.toml", "array.slurm", "notify.toml", "gpu.toml")


@pytest.fixture(scope="module")
def mill(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mill]:
    """A mill in which they were dropped, the job that waits before the one that it waits for."""
    with Mill(tmp_path_factory.mktemp("others")) as made:
        shutil.copytree(examples / "data", made.jobs / "examples" / "data")
        made.start("--limit", "4")
        for name in TOGETHER:
            made.drop(name, (examples / name).read_text())
            made.until(lambda name=name: made.job(name.split(".")[0]), "not accepted")  # type: ignore[misc]
        yield made


@pytest.fixture(scope="module")
def digits(examples: Path) -> NDArray[np.int64]:
    return np.loadtxt(examples / "data" / "digits.csv.gz", delimiter=",", dtype=np.int64)


def test_the_second_job_counts_what_the_first_has_written(mill: Mill, digits: NDArray[np.int64]) -> None:
    first, second = mill.ended("first_split"), mill.ended("then_count")
    assert (first["state"], second["state"]) == ("done", "done")
    assert second["started_at"] >= first["ended_at"]
    counts = [int(line.split()[0]) for line in mill.grist("log", "then_count").splitlines()]
    assert counts == [*np.bincount(digits[:, 64]), len(digits)]


def test_the_array_runs_as_with_sbatch_and_leaves_its_logs(mill: Mill, digits: NDArray[np.int64]) -> None:
    assert mill.ended("array")["items_done"] == 10
    for digit in range(10):
        images = digits[digits[:, 64] == digit][:, :64]
        file = mill.jobs / "examples" / "out" / f"array-{digit}.log"
        mill.until(file.exists, "no copy of the log")
        found = re.fullmatch(rf"digit {digit}: (\d+) images, mean ink ([\d.]+)\n", file.read_text())
        assert found and int(found[1]) == len(images)
        assert float(found[2]) == pytest.approx(images.mean(), abs=0.0051)


def test_whoever_is_to_be_told_is_told(mill: Mill) -> None:
    mill.ended("notify")
    file = mill.jobs / "examples" / "out" / "notified.json"
    mill.until(lambda: file.exists() and file.read_text().endswith("\n"), "nobody was told")
    told = json.loads(file.read_text())
    assert (told["topic"], told["name"]) == ("done", "notify")


def test_without_a_card_the_job_waits_and_says_so(mill: Mill) -> None:
    if shutil.which("nvidia-smi"):
        assert mill.ended("gpu")["state"] == "done"
        assert "my card: " in mill.grist("log", "gpu")
    else:
        mill.until(lambda: mill.job("gpu")["reason"].startswith("gpu: "), "no reason is shown")
        assert "gpu: " in mill.grist("explain", "gpu")
