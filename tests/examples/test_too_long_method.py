"""The mini-batch job: its codes are proved near the minimum by arithmetic of this file's own, not by the script's."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

FILE = "too_long_method.toml"
START, COUNT = 128, 64


@pytest.fixture(scope="module")
def digits(examples: Path) -> NDArray[np.int64]:
    return np.loadtxt(examples / "data" / "digits.csv.gz", delimiter=",", dtype=np.int64)


@pytest.fixture(scope="module")
def batch(run_task: Callable[..., Any]) -> Any:
    """One task, as the job file cuts them."""
    ended = run_task(FILE, start=START, count=COUNT)
    assert ended.code == 0, ended.log
    return ended


def test_the_result_has_one_entry_an_item_in_order(batch: Any, digits: NDArray[np.int64]) -> None:
    assert [entry["index"] for entry in batch.result] == list(range(START, START + COUNT))
    assert [entry["label"] for entry in batch.result] == digits[START : START + COUNT, 64].tolist()


def test_progress_counts_up_to_the_end_of_the_batch(batch: Any) -> None:
    assert re.findall(r"^\[(\d+)/64\] image (\d+):", batch.log, re.MULTILINE) == [
        (str(done), str(START + done - 1)) for done in range(1, COUNT + 1)
    ]


def test_every_code_is_proved_to_be_within_a_thousandth_of_the_best(batch: Any, digits: NDArray[np.int64]) -> None:
    centred = digits[:, :64] - digits[:, :64].mean(axis=0)
    columns = (centred / np.sqrt((centred**2).sum(axis=1))[:, None]).T
    for entry in batch.result:
        target = columns[:, entry["index"]]
        atoms = columns.copy()
        atoms[:, entry["index"]] = 0.0  # no image may be made of itself
        code = np.zeros(1797)
        for atom, weight in entry["made_of"].items():
            code[int(atom)] = weight
        weight_of_l1 = 0.2 * np.abs(atoms.T @ target).max()
        residual = target - atoms @ code
        value = 0.5 * (residual**2).sum() + weight_of_l1 * np.abs(code).sum()
        assert value == pytest.approx(entry["objective"], abs=1e-5)
        # Weak duality: no code at all has a value below the dual's at any point with |A'u| <= lam everywhere.
        point = residual * weight_of_l1 / np.abs(atoms.T @ residual).max()
        lowest = 0.5 - 0.5 * ((target - point) ** 2).sum()
        assert value - lowest <= 0.5e-3 + 1e-5
        assert str(entry["index"]) not in entry["made_of"]
        assert 2 <= len(entry["made_of"]) <= 64


def test_the_guesses_are_right_for_nearly_all_images(batch: Any) -> None:
    assert sum(entry["guess"] == entry["label"] for entry in batch.result) >= 61


def test_a_batch_cut_otherwise_gives_the_same_numbers(batch: Any, run_task: Callable[..., Any]) -> None:
    assert run_task(FILE, start=START + 10, count=5).result == batch.result[10:15]


def test_without_a_result_file_it_prints_csv_alone(batch: Any, run_task: Callable[..., Any]) -> None:
    ended = run_task(FILE, keeps_result=False, start=START, count=3)
    assert ended.code == 0
    columns = ("index", "label", "guess", "objective", "gap", "steps")
    assert list(csv.reader(ended.log.splitlines())) == [
        [str(entry[column]) for column in columns] for entry in batch.result[:3]
    ]


def test_a_range_beyond_the_images_fails_and_leaves_no_result(run_task: Callable[..., Any]) -> None:
    ended = run_task(FILE, start=1796, count=2)
    assert ended.code != 0
    assert ended.result is None
