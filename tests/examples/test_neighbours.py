"""The job of calls, run by a daemon as it is shipped: what it says is right by arithmetic of this file's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.mill import Mill
from tests.waiting import until

pytestmark = pytest.mark.timeout(600)
NEIGHBOURS, FOLDS = [1, 2, 3, 4, 5, 7, 10, 15], 10


@pytest.fixture(scope="module")
def mill(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mill]:
    """A mill in which the job has run."""
    with Mill(tmp_path_factory.mktemp("neighbours")) as made:
        shutil.copytree(examples, made.jobs / "examples")
        made.start("--limit", "2")
        made.drop("neighbours.toml", (examples / "neighbours.toml").read_text())
        until(lambda: made.job("neighbours").get("ended_at"), "it does not end", 400)  # 160 learn and are tried
        job = made.ended("neighbours")
        assert (job["state"], job["items_done"]) == ("done", 2 * len(NEIGHBOURS) * FOLDS), job["reason"]
        yield made


@pytest.fixture(scope="module")
def rows(mill: Mill) -> list[dict[str, Any]]:
    return [json.loads(line) for line in mill.grist("results", "neighbours", "--json").splitlines()]


def test_each_combination_has_its_result(rows: list[dict[str, Any]]) -> None:
    wanted = [
        {"neighbours": neighbours, "vote": vote, "fold": fold}
        for neighbours in NEIGHBOURS for vote in ("equal", "nearer") for fold in range(FOLDS)
    ]
    assert [row["params"] for row in rows] == wanted


def test_the_nearest_neighbour_is_the_one_that_is_nearest(rows: list[dict[str, Any]], examples: Path) -> None:
    table = np.loadtxt(examples / "data" / "digits.csv.gz", delimiter=",", dtype=np.int64)
    images, labels = table[:, :64], table[:, 64]
    fold = 3
    (found,) = [row for row in rows if row["params"] == {"neighbours": 1, "vote": "equal", "fold": fold}]
    wrong = []
    for index in range(fold, len(images), FOLDS):
        apart = ((images - images[index]) ** 2).sum(axis=1)
        apart[fold::FOLDS] = apart.max() + 1  # its own fold is not asked
        if labels[apart.argmin()] != labels[index]:
            wrong.append(index)
    assert found["result"]["wrong"] == wrong
    assert found["result"]["accuracy"] == pytest.approx(1 - len(wrong) / len(range(fold, len(images), FOLDS)))


def test_most_images_are_guessed_right_and_each_log_says_how_many(mill: Mill, rows: list[dict[str, Any]]) -> None:
    assert min(row["result"]["accuracy"] for row in rows) > 0.93
    right, _, asked, *_ = mill.grist("log", "neighbours/0").split()
    assert int(right) / int(asked) == pytest.approx(rows[0]["result"]["accuracy"])


def test_the_distances_were_measured_once(mill: Mill) -> None:
    (log,) = (mill.state / "logs").rglob("import.log")
    assert log.read_text() == "1797 images, 26 MB of distances\n"
