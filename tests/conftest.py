"""What every test may be told on the command line, and the mill that most of those with a daemon use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.engines import witness
from tests.mill import Mill


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--full` and `--seed`."""
    group = parser.getgroup("gristmill")
    group.addoption("--full", action="store_true", help="every try of the fault suite, and new random ones each time")
    group.addoption("--seed", type=int, help="what a random test printed when it failed, to see it again")


def pytest_configure(config: pytest.Config) -> None:
    """Property tests are not timed, for a machine may be busy with others, and draw the same values at each run: no
    change fails for a fault that it did not bring. New ones are drawn by `--full`."""
    hypothesis.settings.register_profile(
        "tests", deadline=None, derandomize=not config.getoption("--full"),
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that are given more time than others come first: run side by side, none is left for all to wait for."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What faults did to tasks that ran elsewhere, as a table."""
    rows = [row for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
            for name, row in report.user_properties if name == witness.ROW and report.when == "call"]  # fmt: skip
    if rows:
        terminalreporter.section("tasks elsewhere")
        for line in (witness.HEAD, *sorted(rows)):
            terminalreporter.write_line(line)


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    """A mill that stands still; `start()` sets it going."""
    with Mill(tmp_path) as made:
        yield made


@pytest.fixture
def turning(mill: Mill) -> Mill:
    """A mill with its daemon running on two workers."""
    mill.start("--limit", "2")
    return mill
