"""Text files that a user named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gristmill.supervisor.edge import textfile


def test_what_is_no_file_or_no_text_is_refused_without_waiting_and_nothing_stays_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"na\xefve\n")
    (tmp_path / "good").write_text("naïve\n")
    before = os.listdir("/proc/self/fd")
    assert textfile.read(str(tmp_path / "good")) == "naïve\n"
    refused = {"": "Is a directory", "pipe": "not a plain file", "latin": "not UTF-8", "none": "No such file"}
    for name, words in refused.items():
        with pytest.raises(OSError, match=words):
            textfile.read(str(tmp_path / name))
    assert os.listdir("/proc/self/fd") == before
