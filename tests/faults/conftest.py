"""The fixtures of the fault suite: a mill, the library that brings faults, how much to try, and chance."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.shim import Library, Shim
from tests.mill import Mill

HERE = Path(__file__).parent
PATIENCE_S = 4 * 3600
"""What one test may take in the full form, which makes hundreds of tries in each."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Gives the tests of this folder the time that the full form needs."""
    for item in items:
        if config.getoption("--full") and item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(PATIENCE_S))


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether all tries were asked for, or the few that CI makes."""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test: the same at each run, a new one with `--full`; printed, so that it can be seen again."""
    given: int | None = request.config.getoption("--seed")
    if given is not None:
        number = given
    elif request.config.getoption("--full"):
        number = random.SystemRandom().randrange(10**9)
    else:
        number = zlib.crc32(request.node.name.encode())
    print(f"\nreplay: pytest {request.node.nodeid} --seed {number}")
    return number


@pytest.fixture
def chance(seed: int) -> random.Random:
    """All chance of a test."""
    return random.Random(seed)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The compiled shim; a test that needs it is skipped where there is no compiler."""
    return Library.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def shim(library: Library, mill: Mill) -> Iterator[Shim]:
    """Faults at hand for the daemon and the workers of `mill`; asks for nothing yet."""
    with Shim(library, mill.base / "shim") as made:
        mill.env.update(made.env)
        yield made
        made.clear()
