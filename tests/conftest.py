"""What every test may be told on the command line."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--full` and `--seed`."""
    group = parser.getgroup("gristmill")
    group.addoption("--full", action="store_true", help="every try of the fault suite, not only the few that CI makes")
    group.addoption("--seed", type=int, help="what a random test printed when it failed, to see it again")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that are given more time than others come first: run side by side, none is left for all to wait for."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
