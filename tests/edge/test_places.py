"""The state folder as it is made."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gristmill.supervisor.edge import places


def test_a_state_folder_is_private_and_may_be_made_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for _ in range(2):
        places.prepare_state(state)
    assert sorted(os.listdir(state)) == ["logs", "results", "runs", "scripts"]
    assert {path.stat().st_mode & 0o777 for path in (state, *state.iterdir())} == {0o700}


def test_on_ext4_jobs_have_their_logs_where_nothing_was_just_removed(tmp_path: Path) -> None:
    if places.file_system(tmp_path) != "ext4" or shutil.which("lsattr") is None:
        pytest.skip("no ext4 here, or no lsattr")
    places.prepare_state(tmp_path / "state")
    said = subprocess.run(
        ["lsattr", "-d", *(tmp_path / "state" / name for name in (".", "logs", "results", "runs"))],
        capture_output=True, text=True, check=False,
    )
    if said.returncode:
        pytest.skip(f"lsattr: {said.stderr}")
    assert ["T" in line.split()[0] for line in said.stdout.splitlines()] == [True, True, True, False]
