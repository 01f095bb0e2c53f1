"""A pytest plugin for other projects' test suites: a daemon of ours for the session, and joblib calling through it.

    pytest -p tests.conformance.plugin …

`GRIST_DEFAULT` names the backend of every test, ours or another to compare with, with two jobs where a test says
nothing; without it, ours has its name only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest

import gristmill
from gristmill import Client

DEFAULT = os.environ.get("GRIST_DEFAULT", "")
_base = tempfile.TemporaryDirectory(prefix="grist-conformance-")
_daemon: subprocess.Popen[str] | None = None


def pytest_configure() -> None:
    """Starts the daemon before tests are collected: they look at the backends that there are."""
    global _daemon  # noqa: PLW0603 - pytest's hooks have no other place in common
    base = Path(_base.name)
    (base / "jobs").mkdir()
    command = [sys.executable, "-m", "gristmill.supervisor.cli", "daemon", "--quiet", "--allow-root", "--jobs",
               str(base / "jobs"), "--state", str(base / "state"), "--limit", os.environ.get("GRIST_WORKERS", "4")]
    _daemon = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert _daemon.stdout is not None
    if _daemon.stdout.readline() != "ready\n":
        raise pytest.UsageError("the daemon did not start")
    os.environ |= {"GRIST_JOBS": str(base / "jobs"), "GRIST_STATE": str(base / "state")}
    gristmill.register_joblib()


def pytest_unconfigure() -> None:
    """Says how much came through the daemon, and ends it."""
    client = Client()
    jobs = client.status()
    print(f"\nthrough the daemon: {len(jobs)} jobs, {sum(job.items for job in jobs)} calls")
    client.ask("shutdown", kill=True)
    assert _daemon is not None and _daemon.stdout is not None
    _daemon.wait(60)
    _daemon.stdout.close()
    _base.cleanup()


@pytest.fixture(autouse=bool(DEFAULT))
def through_that_backend() -> Iterator[None]:
    """Whatever this test leaves to joblib goes through that backend."""
    own: dict[str, Any] = {"job": {"resources": {"memory": "200 MB"}}} if DEFAULT == "gristmill" else {}
    with joblib.parallel_config(DEFAULT, n_jobs=2, **own):
        yield
