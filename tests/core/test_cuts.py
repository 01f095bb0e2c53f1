"""A reader of a log whose middle is left out under its eyes: each byte once, in order, and the line in between."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gristmill.supervisor.core.cuts import Cut, Follower, Watch, find

MARK = b"\n[gristmill: %d bytes left out here: limits.log = %d]\n"


class Log:
    """A log of numbered lines, cut as a worker does."""

    def __init__(self, most: int) -> None:
        self.data, self.most, self.gone, self.mark, self.number = b"", most, 0, 0, 0

    def read(self, start: int, length: int) -> bytes:
        return self.data[start : start + length]

    def write(self, lines: int) -> None:
        for _ in range(lines):
            self.data += b"<%06d>\n" % self.number
            self.number += 1
            if len(self.data) > self.most:
                self.cut()

    def cut(self) -> None:
        head, tail = self.most // 2, self.most // 4
        end = self.data[-tail:]
        end = end[end.find(b"\n") + 1 :]
        self.gone += len(self.data) - head - len(end) - self.mark
        mark = MARK % (self.gone, self.most)
        self.mark = len(mark)
        self.data = self.data[:head] + mark + end


@example(400, 0, [45, 6])
@given(st.integers(400, 3000), st.integers(0, 400), st.lists(st.integers(0, 400), max_size=12))
def test_a_follower_sees_each_line_once_in_order_and_learns_what_it_missed(
    most: int, earlier: int, bursts: list[int]
) -> None:
    log = Log(most)
    log.write(earlier)
    watch, place, seen = Watch(log.read), 0, b""
    for lines in (0, *bursts):
        log.write(lines)
        if watch.moved(len(log.data)):
            shift = watch.shift(len(log.data))
            assert shift is not None
            place = shift.to(place)
        seen += log.read(place, len(log.data) - place)
        place = len(log.data)
        watch.stand(place)
    numbers = [int(found) for found in re.findall(rb"<(\d{6})>\n", seen)]
    assert numbers == sorted(set(numbers))
    whole = numbers == list(range(log.number))
    assert whole or b"bytes left out here" in seen
    if log.number:
        assert seen.endswith(b"<%06d>\n" % (log.number - 1))


class Hasty(Log):
    """A log that is written on and cut, perhaps more than once, between any two looks; a cut may be half done."""

    def __init__(self, most: int, bursts: list[tuple[int, bool]]) -> None:
        super().__init__(most)
        self.bursts, self.behind = bursts, b""

    def go_on(self) -> None:
        """Time passes."""
        self.data, self.behind = self.data + self.behind, b""
        lines, halved = self.bursts.pop() if self.bursts else (0, False)
        for _ in range(lines):
            gone = self.gone
            self.write(1)
        if lines and halved and self.gone > gone:
            self.data, self.behind = self.data[: self.most // 2], self.data[self.most // 2 :]

    def size(self) -> int:
        self.go_on()
        return len(self.data)

    def read(self, start: int, length: int) -> bytes:
        self.go_on()
        return super().read(start, length)


@pytest.mark.parametrize("chunk", [64, 300, 5000])
def test_a_follower_sees_each_line_once_in_order_whenever_the_cuts_come(chunk: int) -> None:
    for seed in range(700):
        chance = random.Random(seed)
        bursts = [(chance.choice([0, 0, 5, 20, 60, 99]), chance.random() < 0.5) for _ in range(chance.randint(1, 60))]
        check_follower(Hasty(chance.randint(400, 1000), bursts), chunk)


def check_follower(log: Hasty, chunk: int) -> None:
    """Follows it to its end; what was missed is told where it was missed."""
    follower, seen, over = Follower(log.read, log.size), b"", False
    while not over:
        last = not log.bursts and not log.behind
        data = follower.take(chunk)
        seen += data or b""
        over = last and data == b""
    parts = [
        [int(found) for found in re.findall(rb"<(\d{6})>\n", part)]
        for part in re.split(rb"\n\[gristmill: \d+ bytes left out here: limits\.log = \d+\]\n", seen)
    ]
    assert all(part == list(range(part[0], part[-1] + 1)) for part in parts if part), "lines are missing untold"
    numbers = [number for part in parts for number in part]
    assert numbers == sorted(set(numbers))
    if log.number:
        assert seen.endswith(b"<%06d>\n" % (log.number - 1))


def test_a_follower_of_a_log_that_somebody_emptied_says_so_and_reads_it_anew() -> None:
    log = Log(10_000)
    log.write(9)
    follower = Follower(log.read, lambda: len(log.data))
    assert follower.take(1000) == log.data
    log.data = b"else\n"
    assert follower.take(1000) is None
    follower.restart()
    assert follower.take(1000) == b"else\n"
    assert follower.take(1000) == b""


def test_what_a_task_prints_is_no_cut() -> None:
    fake = b"x" * 50 + MARK % (10, 4000) + b"y" * 50
    assert find(lambda start, length: fake[start : start + length], len(fake)) is None


def test_the_line_is_found_across_blocks_and_far_from_the_end() -> None:
    start = (3 << 20) - 20
    data = b"h" * start + MARK % (12345, 2 * start) + b"t" * (2 << 20)
    mark = len(MARK % (12345, 2 * start))
    assert find(lambda at, length: data[at : at + length], len(data)) == Cut(start, start + mark, 12345)


def test_places_before_within_and_behind_the_cut() -> None:
    cut = Cut(100, 150, 1000)
    assert [cut.place(printed) for printed in (0, 99, 100, 600, 1099, 1100, 1130)] == [0, 99, 100, 100, 100, 150, 180]
    assert [cut.printed(place) for place in (0, 100, 120, 150, 180)] == [0, 100, 1100, 1100, 1130]


def test_a_log_only_written_on_has_not_moved() -> None:
    log = Log(10_000)
    watch = Watch(log.read)
    assert not watch.moved(0)
    log.write(5)
    watch.stand(len(log.data))
    log.write(5)
    assert not watch.moved(len(log.data))
    log.data = log.data[:10]
    assert watch.moved(10)
    assert watch.shift(10) is None
