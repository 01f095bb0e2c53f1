"""daemon.log stays short, and who holds it open goes on writing to the one that is read."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from gristmill.supervisor import logbook


def test_a_long_log_begins_anew_also_for_the_spawner_and_three_older_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook, "BYTES", 10_000)
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    logbook.open_book(tmp_path, foreground=False)
    fd = logbook.descriptor(tmp_path)
    try:
        for number in range(1000):
            logging.getLogger("gristmill.test").info("line %d of many that say nothing new", number)
        os.write(fd, b"the spawner says why\n")
    finally:
        os.close(fd)
        for handler in [one for one in root.handlers if one not in before]:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)
    assert sorted(os.listdir(tmp_path)) == ["daemon.log", "daemon.log.1", "daemon.log.2", "daemon.log.3"]
    assert all(path.stat().st_size < 11_000 for path in tmp_path.iterdir())
    text = (tmp_path / "daemon.log").read_text()
    assert "line 999 of many" in text and text.endswith("the spawner says why\n") and "\0" not in text
