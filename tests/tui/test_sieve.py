"""Which lines of a log are shown, and where an error is told of."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.tui.logfile import LogFile
from gristmill.tui.sieve import Sieve, next_error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def shown(log: LogFile, text: str, end: int | None = None) -> list[str]:
    """All lines that pass, walked from the first to the last."""
    sieve, size = Sieve(text), log.size if end is None else end
    sieve.extend(log, size)
    found, place = [], sieve.at(0, log, size)
    while place < size:
        stop = log.line_end(place, size)
        found.append(log.text(place, stop))
        place = sieve.at(stop, log, size)
    return found


def test_lines_with_a_text_or_without_it(path: Path) -> None:
    path.write_text("loss 1\nWARN slow\nLoss 2\nwarn\nloss 3")
    with LogFile(str(path)) as log:
        assert shown(log, "loss") == ["loss 1", "Loss 2", "loss 3"]
        assert shown(log, "Loss") == ["Loss 2"]
        assert shown(log, "!loss") == ["WARN slow", "warn"]
        assert shown(log, "nothing") == []


def test_a_line_that_is_still_being_written_passes_when_it_does(path: Path) -> None:
    path.write_text("one\ntwo lo")
    with LogFile(str(path)) as log:
        assert shown(log, "loss") == []
        assert shown(log, "two") == ["two lo"]
        with path.open("a") as more:
            more.write("ss\n")
        assert shown(log, "loss") == ["two loss"]


def test_it_walks_back_as_it_walks_forth(path: Path) -> None:
    path.write_text("".join(f"{number} {'odd' if number % 2 else 'even'}\n" for number in range(5000)))
    with LogFile(str(path)) as log:
        sieve = Sieve("!odd")
        assert sieve.extend(log, log.size)
        assert sieve.passed == 2500
        back, place = [], log.size
        while (before := sieve.before(place)) is not None:
            back.append(before)
            place = before
        assert back == list(sieve.starts)[::-1]


@given(st.lists(st.text("ab\rX", max_size=6), max_size=30), st.sampled_from(["a", "!a", "b\r", "!X", "X"]))
def test_it_shows_what_a_plain_filter_does(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], text: str
) -> None:
    path = tmp_path_factory.mktemp("sieve") / "log"
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    needle = text.removeprefix("!")
    fold = str.lower if needle == needle.lower() else str
    with LogFile(str(path)) as log:
        assert shown(log, text) == [line for line in lines if (needle in fold(line)) != text.startswith("!")]


def test_the_next_error_goes_round_the_end(path: Path) -> None:
    path.write_text("all fine\nValueError: no\nno terror here\nfailures are few\nKilled\n")
    with LogFile(str(path)) as log:
        first = next_error(log, 0, log.size)
        assert first is not None and log.text(first, log.line_end(first, log.size)) == "ValueError: no"
        second = next_error(log, log.line_end(first, log.size), log.size)
        assert second is not None and log.text(second, log.line_end(second, log.size)) == "Killed"
        assert next_error(log, log.line_end(second, log.size), log.size) == first
    path.write_text("nothing\nto see\n")
    with LogFile(str(path)) as log:
        assert next_error(log, 3, log.size) is None


def test_lines_that_were_not_walked_through_yet_are_looked_at_one_by_one(path: Path) -> None:
    path.write_text("one\ntwo\nthree\nfour\n")
    with LogFile(str(path)) as log:
        sieve = Sieve("three")
        place = sieve.at(0, log, log.size)
        assert log.text(place, log.line_end(place, log.size)) == "three"
        assert sieve.at(place + 6, log, log.size) == log.size
