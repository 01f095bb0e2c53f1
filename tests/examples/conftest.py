"""Starts a task of a shipped example as the daemon does: its command by `sh -c`, its range on stdin, its variables.

Refuses to know what a job file means beyond `command` and `stdin`: that is tested where job files are read.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import DEADLINE

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a user sees of a task that has ended: its exit code, its log, and its result, None if it wrote none."""

    code: int
    log: str
    result: Any


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of the shipped examples."""
    return ROOT / "jobs" / "examples"


@pytest.fixture(scope="session")
def run_shell(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ended]:
    """Runs one command line in the folder that holds jobs/; `keeps_result=False` leaves GRIST_RESULT out."""

    def run(command: str, stdin: str = "", keeps_result: bool = True) -> Ended:
        result_file = tmp_path_factory.mktemp("run") / "result.json"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GRIST_")}
        environment |= {"GRIST_PYTHON": sys.executable, "GRIST_JOB": "7", "GRIST_WORKER": "2", "PYTHONUNBUFFERED": "1"}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        if keeps_result:
            environment["GRIST_RESULT"] = str(result_file)
        ended = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=ROOT,
            env=environment,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=3 * DEADLINE,
            check=False,
        )
        result = json.loads(result_file.read_text()) if result_file.exists() else None
        return Ended(ended.returncode, ended.stdout, result)

    return run


@pytest.fixture(scope="session")
def run_task(examples: Path, run_shell: Callable[..., Ended]) -> Callable[..., Ended]:
    """Runs one task of a job file, with a value for each placeholder of its command and its stdin."""

    def run(file: str, keeps_result: bool = True, **values: object) -> Ended:
        job = tomllib.loads((examples / file).read_text())
        command = re.sub(r"\{(\w+)\}", lambda found: shlex.quote(str(values[found[1]])), job["command"])
        stdin = re.sub(r"\{(\w+)\}", lambda found: str(values[found[1]]), job.get("stdin", ""))
        return run_shell(command, stdin, keeps_result)

    return run
