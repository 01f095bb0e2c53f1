"""A Slurm for the tests here, and a mill that hands its tasks over to it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import cluster
from tests.engines.cluster import Cluster
from tests.mill import Mill


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """A cluster of two nodes with two cores each, for all tests."""
    if why := cluster.missing():
        pytest.skip(why)
    base = Path(tempfile.mkdtemp(prefix="gm", dir="/tmp"))
    try:
        with Cluster(base) as made:
            yield made
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def mill(tmp_path: Path, slurm: Cluster) -> Iterator[Mill]:
    """A mill that stands still, and knows the cluster."""
    with Mill(tmp_path) as made:
        made.env = {**made.env, "SLURM_CONF": slurm.env["SLURM_CONF"]}
        yield made
