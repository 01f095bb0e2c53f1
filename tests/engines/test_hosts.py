"""A few machines that are reached by ssh, each a host of its own, and the small Slurm that docs/clusters.md sets up."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import hosts
from tests.engines.hosts import Hosts
from tests.mill import Mill

pytestmark = pytest.mark.skipif(bool(hosts.absent()), reason=hosts.absent())


class HeadMill(Mill):
    """A mill whose daemon and commands run on the first of the machines."""

    def __init__(self, base: Path, machines: Hosts) -> None:
        super().__init__(base)
        self._head = next(iter(machines.spaces.values()))

    def command(self, *words: str) -> list[str]:
        return self._head.entering(*super().command(*words))


@pytest.fixture
def machines() -> Iterator[Hosts]:
    """The machines that are printed, with Slurm running."""
    with tempfile.TemporaryDirectory(prefix="hosts") as base:
        Path(base).chmod(0o755)
        with Hosts(Path(base), "head", "n1", "n2") as made:
            made.slurm(hosts.fitted(hosts.printed()))
            yield made


def test_what_is_printed_runs_jobs_on_every_machine(machines: Hosts, tmp_path: Path) -> None:
    assert machines.on("head", "srun -N 2 hostname | sort").split() == ["n1", "n2"]
    with HeadMill(tmp_path, machines) as mill:
        mill.start()
        mill.drop("spread.toml", 'where = "slurm"\ncommand = "hostname; sleep 1"\n[items]\ntotal = 6\n')
        assert mill.ended("spread")["state"] == "done"
        said = {task["host"]: mill.grist("log", task["id"]).strip() for task in mill.tasks("spread")}
        assert said == {"n1": "n1", "n2": "n2"}
        assert "2 nodes" in mill.grist("status")
