"""A log read by position: the same lines from either end, whatever is in it."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill.tui import logfile
from gristmill.tui.logfile import LogFile, Matches, open_log

WINDOW = 8


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "WINDOW", WINDOW)
    monkeypatch.setattr(logfile, "BLOCK", 16)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=400)
@given(st.lists(st.sampled_from([b"\n", b"a", b"bc", b"long line", b"\n\n"]), max_size=40).map(b"".join))
@pytest.mark.usefixtures("small")
def test_lines_are_the_same_forwards_and_backwards(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(data)
    with LogFile(str(path)) as log:
        lines, place = [], 0
        while place < len(data):
            start, place = place, log.line_end(place, len(data))
            lines.append((start, place))
        back, place = [], len(data)
        while place > 0:
            end, place = place, log.line_before(place)
            back.append((place, end))
        assert back[::-1] == lines
        assert "".join(log.text(*line) for line in lines) == data.replace(b"\n", b"").decode()
        assert all(end - start < 3 * WINDOW for start, end in lines)
        assert log.count(0, len(data)) == data.count(b"\n")


def test_the_last_lines_of_a_huge_log_are_read_without_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(3 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + b"".join(b"line %d\n" % number for number in range(100)))
    with LogFile(str(path)) as log:
        assert log.last_lines(3) == ["line 97", "line 98", "line 99"]


def test_a_line_still_being_written_counts_as_the_last(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\ntwo\nthr")
    with LogFile(str(path)) as log:
        assert log.last_lines(2) == ["two", "thr"]
        with path.open("a") as file:
            file.write("ee\n")
        assert log.last_lines(2) == ["two", "three"]


@pytest.mark.usefixtures("small")
def test_matches_are_found_across_blocks_and_as_the_file_grows(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("an Error\nfine\nfine\nerror twice error\nfine\nERROR")
    with LogFile(str(path)) as log:
        found = Matches("error")
        while not found.extend(log, log.size, blocks=1):
            pass
        shown = [log.text(start, log.line_end(start, log.size)) for start in found.starts]
        assert [line[:5] for line in shown] == ["an Er", "error", "ERROR"]
        with path.open("a") as file:
            file.write("\nerror again\n")
        while not found.extend(log, log.size):
            pass
        assert len(found.starts) == 4
        exact = Matches("Error")
        while not exact.extend(log, log.size):
            pass
        assert list(exact.starts) == [0]


def test_the_next_match_goes_around_the_end() -> None:
    found = Matches("x")
    found.starts.extend([10, 20, 30])
    assert [found.nearest(place, True) for place in (0, 10, 30)] == [0, 1, 0]
    assert [found.nearest(place, False) for place in (40, 20, 10)] == [2, 0, 2]


def test_an_empty_log_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    with LogFile(str(tmp_path / "log")) as log:
        assert log.last_lines(5) == []


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    assert open_log(None) is None
    assert open_log(str(tmp_path / "none")) is None
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        open_log(str(tmp_path / "fifo"))
