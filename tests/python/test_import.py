"""Importing `gristmill` costs nothing; its names are there when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gristmill


def loaded(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after `statement`, beyond those that it began with."""
    program = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_alone_loads_nothing_but_itself() -> None:
    assert loaded("import gristmill") <= {"gristmill"}


def test_client_and_executor_load_no_asyncio_and_no_screens() -> None:
    found = loaded("from gristmill import Client, Executor")
    assert not found & {"asyncio", "textual", "rich", "sqlite3", "joblib", "cloudpickle", "numpy", "psutil"}


@pytest.mark.parametrize("name", gristmill.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(gristmill, name).__name__ == name
    assert name in dir(gristmill)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Clinet'"):
        _ = gristmill.Clinet
