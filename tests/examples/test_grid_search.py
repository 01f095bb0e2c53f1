"""The grid job: its nets learn, their folds are fair, their gradients are true, and the ranking ranks."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FILE = "grid_search.toml"


@pytest.fixture(scope="module")
def train(examples: Path) -> ModuleType:
    """The script as a module, to look at its parts."""
    spec = importlib.util.spec_from_file_location("train", examples / "code" / "train.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def good(run_task: Callable[..., Any]) -> Any:
    ended = run_task(FILE, hidden=64, rate=0.01, fold=9)
    assert ended.code == 0, ended.log
    return ended


def test_the_grid_has_60_points_and_ten_folds(examples: Path, train: ModuleType) -> None:
    grid = tomllib.loads((examples / FILE).read_text())["grid"]
    first, end = grid["fold"]["range"]
    assert (first, end) == (0, train.FOLDS)
    assert len(grid["hidden"]) * len(grid["rate"]) * (end - first) == 60


def test_a_good_point_reads_digits_that_it_has_never_seen(good: Any) -> None:
    assert good.result["tested"] in (179, 180)
    assert good.result["accuracy"] == pytest.approx(good.result["right"] / good.result["tested"], abs=1e-6)
    assert good.result["accuracy"] > 0.93


def test_the_grid_matters(good: Any, run_task: Callable[..., Any]) -> None:
    small_net = run_task(FILE, hidden=8, rate=0.01, fold=9)
    assert small_net.code == 0, small_net.log
    assert 0.5 < small_net.result["accuracy"] < good.result["accuracy"]


def test_the_same_point_gives_the_same_numbers(good: Any, run_task: Callable[..., Any]) -> None:
    again = run_task(FILE, hidden=64, rate=0.01, fold=9)
    assert (again.result, again.log) == (good.result, good.log)


def test_the_loss_falls_from_epoch_to_epoch(good: Any) -> None:
    lines = re.findall(r"^epoch (\d+)/30 loss (\d+\.\d+)$", good.log, re.MULTILINE)
    assert [int(epoch) for epoch, _ in lines] == list(range(1, 31))
    losses = [float(loss) for _, loss in lines]
    assert losses[0] < math.log(10)  # what blind guessing costs
    assert losses[-1] < 0.1 * losses[0]


def test_without_a_result_file_the_result_is_the_last_line(good: Any, run_task: Callable[..., Any]) -> None:
    ended = run_task(FILE, keeps_result=False, hidden=64, rate=0.01, fold=9)
    assert json.loads(ended.log.splitlines()[-1]) == good.result


def test_a_fold_that_does_not_exist_is_refused(run_task: Callable[..., Any]) -> None:
    ended = run_task(FILE, hidden=8, rate=0.1, fold=10)
    assert ended.code == 2
    assert ended.result is None


def test_the_folds_test_every_image_once_and_train_on_all_others(train: ModuleType) -> None:
    folds = [train.split(1797, fold) for fold in range(train.FOLDS)]
    assert sorted(itertools.chain.from_iterable(tested.tolist() for _, tested in folds)) == list(range(1797))
    for training, tested in folds:
        assert sorted([*training.tolist(), *tested.tolist()]) == list(range(1797))


def test_the_gradient_is_the_slope_of_the_loss(train: ModuleType) -> None:
    random = np.random.default_rng(3)
    net = train.make_net(5, random)
    images, labels = random.random((7, 64)), random.integers(0, 10, 7)
    _, gradients = train.find_loss(net, images, labels)
    for array, gradient in zip(net, gradients, strict=True):
        direction = random.normal(size=array.shape)
        step = 1e-6 * direction
        array[:] += step
        above, _ = train.find_loss(net, images, labels)
        array[:] -= 2 * step
        below, _ = train.find_loss(net, images, labels)
        array[:] += step
        assert (above - below) / 2e-6 == pytest.approx(float((gradient * direction).sum()), rel=1e-5, abs=1e-8)


def result_line(hidden: int, fold: int, accuracy: float | None) -> str:
    """A line as `grist results --json` prints it; an accuracy of None stands for an item without a result."""
    result = None if accuracy is None else {"accuracy": accuracy, "right": 1, "tested": 2, "loss": 0.1}
    params = {"hidden": hidden, "rate": 0.1, "fold": fold}
    return json.dumps({"item": fold, "params": params, "task": "7/1", "result": result})


def test_the_ranking_puts_the_best_mean_first(run_shell: Callable[..., Any], examples: Path) -> None:
    lines = [
        result_line(8, 0, 0.5),
        result_line(64, 0, 0.9),
        result_line(32, 0, 0.8),
        result_line(8, 1, 0.7),
        result_line(64, 1, 0.7),
        result_line(32, 1, None),
    ]
    ended = run_shell(f'"{sys.executable}" "{examples / "code" / "best.py"}"', "\n".join(lines))
    assert ended.code == 0, ended.log
    assert [line.split() for line in ended.log.splitlines()] == [
        ["accuracy", "spread", "folds", "point"],
        ["0.8000", "0.1000", "2", "hidden=64", "rate=0.1"],
        ["0.8000", "0.0000", "1", "hidden=32", "rate=0.1"],
        ["0.6000", "0.1000", "2", "hidden=8", "rate=0.1"],
    ]


def test_the_ranking_of_nothing_says_so(run_shell: Callable[..., Any], examples: Path) -> None:
    ended = run_shell(f'"{sys.executable}" "{examples / "code" / "best.py"}"', result_line(8, 0, None))
    assert ended.code == 1
    assert ended.log == "no results yet\n"
