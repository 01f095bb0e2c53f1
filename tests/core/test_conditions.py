"""Faults as states: begun and ended once, held or only said, over by themselves where that was asked for."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core.conditions import Conditions, Kind, rejection
from gristmill.supervisor.core.errors import JobFileError, Problem
from gristmill.supervisor.core.protocol import ConditionView


class Told:
    """Two clocks that a test sets, and what was told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.said: list[tuple[str, bool]] = []
        self.conditions = Conditions(lambda: self.now, lambda: self.now + 1e9, self.hear)

    def hear(self, condition: ConditionView, began: bool) -> None:
        self.said.append((condition.kind, began))


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_condition_is_told_when_it_begins_and_ends_and_not_between(told: Told) -> None:
    for reason in ("disk: 3 MB are free", "disk: 2 MB are free", "", ""):
        told.conditions.put(Kind.DISK, reason)
    assert told.said == [("disk", True), ("disk", False)]


def test_its_reason_is_the_newest_and_its_begin_the_first(told: Told) -> None:
    told.conditions.set(Kind.DISK, "disk: 3 MB are free")
    told.now += 5
    told.conditions.set(Kind.DISK, "disk: 2 MB are free")
    (view,) = told.conditions.views()
    assert (view.reason, view.since) == ("disk: 2 MB are free", 1e9 + 100)


def test_only_what_holds_holds_and_it_is_shown_first(told: Told) -> None:
    told.conditions.set(Kind.CLOCK, "clock: moved", holds=False)
    assert told.conditions.held == ""
    told.conditions.set(Kind.FILES, "files: none left")
    assert told.conditions.held == "files: none left"
    assert [view.kind for view in told.conditions.views()] == ["files", "clock"]


def test_what_is_said_for_a_time_is_over_by_itself_unless_it_is_said_again(told: Told) -> None:
    told.conditions.set(Kind.STALL, "stall", for_s=60)
    told.now += 59
    told.conditions.set(Kind.STALL, "stall", for_s=60)
    told.now += 59
    told.conditions.expire()
    assert told.conditions.views()
    told.now += 1
    told.conditions.expire()
    assert not told.conditions.views()


def test_what_is_said_without_an_end_does_not_end_with_what_was_said_before(told: Told) -> None:
    told.conditions.set(Kind.ENGINE, "the folder can't be used", for_s=30, again_s=1)
    told.conditions.set(Kind.ENGINE, "it does not answer")
    told.now += 31
    told.conditions.expire()
    assert told.conditions.held == "it does not answer"


def test_what_may_be_tried_again_is_still_shown_meanwhile(told: Told) -> None:
    told.conditions.set(Kind.PROCESSES, "processes: none left", again_s=1)
    assert told.conditions.held
    told.now += 1
    assert told.conditions.held == ""
    assert told.conditions.views()[0].holds
    told.conditions.clear(Kind.PROCESSES)
    assert not told.conditions.views()


@pytest.mark.parametrize(("faults", "files", "expected"), [
    (1, 1, "rejected: a.toml:1:2: unknown key x – write y (see jobs/rejected/a.toml.error)"),
    (3, 1, "rejected: a.toml:1:2: unknown key x – write y; 2 more (see jobs/rejected/a.toml.error)"),
    (2, 2, "rejected: a.toml:1:2: unknown key x – write y; 1 more; 1 other file (see jobs/rejected/a.toml.error)"),
    (1, 9, "rejected: a.toml:1:2: unknown key x – write y; 8 other files (see jobs/rejected/a.toml.error)"),
])  # fmt: skip
def test_a_rejection_is_told_in_one_line(faults: int, files: int, expected: str) -> None:
    error = JobFileError("a.toml", (Problem(1, 2, "unknown key x", "write y"),) * faults)
    assert rejection(error, "jobs/rejected/a.toml.error", files) == expected


def test_what_a_file_says_reaches_no_terminal_as_it_is() -> None:
    error = JobFileError("a\x1b[2J.toml", (Problem(0, 0, "is \n odd", "write it"),))
    assert "\x1b" not in rejection(error, "x", 1) and "\n" not in rejection(error, "x", 1)
