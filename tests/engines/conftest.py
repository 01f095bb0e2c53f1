"""A Slurm for the tests here, and a mill that hands its tasks over to it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines import cluster, spaces
from tests.engines.cluster import Cluster
from tests.engines.witness import Account
from tests.mill import Mill


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """A cluster of two nodes with four slots each, for all tests."""
    with made() as cluster:
        yield cluster


@contextlib.contextmanager
def made(**how: Any) -> Iterator[Cluster]:
    """A cluster of one's own."""
    if why := cluster.missing():
        pytest.skip(why)
    base = Path(tempfile.mkdtemp(prefix="gm", dir="/tmp"))
    try:
        with Cluster(base, **how) as one:
            yield one
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is awaited here may take as long as an engine takes for it on a busy machine."""
    monkeypatch.setattr("tests.mill.DEADLINE", 2 * spaces.DEADLINE_S)


@pytest.fixture
def mill(tmp_path: Path, slurm: Cluster) -> Iterator[Mill]:
    """A mill that stands still, and knows the cluster."""
    with Mill(tmp_path) as one:
        one.env = {**one.env, "SLURM_CONF": slurm.env["SLURM_CONF"]}
        (one.jobs / ".gristmill").mkdir(0o700)
        (one.jobs / ".gristmill" / "settings.toml").write_text('lost_after = "2s"\n')
        yield one


@pytest.fixture
def account(record_property: Callable[[str, object], None]) -> Account:
    """Puts down what a fault did to a job."""
    return Account(record_property)
