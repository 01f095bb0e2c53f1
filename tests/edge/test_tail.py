"""The end of what a task is writing."""

from __future__ import annotations

import os
from pathlib import Path

from gristmill.supervisor.edge import tail


def test_the_end_of_a_file_is_read_and_nothing_of_anything_else(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 10_000 + b"end")
    (tmp_path / "link").symlink_to(tmp_path / "log")
    os.mkfifo(tmp_path / "pipe")
    assert tail.read(tmp_path / "log") == b"x" * 4093 + b"end"
    assert tail.read(tmp_path / "log", 2) == b"nd"
    for name in ("pipe", "", "link", "none"):  # a pipe that nobody writes to would make whoever opens it wait
        assert tail.read(tmp_path / name) == b""
