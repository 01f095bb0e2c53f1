"""Two clocks tell a clock that was set from a daemon that stood still."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core.timekeeping import Passage, Timekeeper

DAY = 86_400.0


@pytest.mark.parametrize(
    ("steady", "wall", "passage"),
    [
        (1.0, 1.0, Passage()),
        (1.0, 2.9, Passage()),
        (1.0, 1.0 - DAY, Passage(jump=-DAY)),
        (1.0, 1.0 + 400 * DAY, Passage(jump=400 * DAY)),
        (5.0, 5.0, Passage(stall=5.0)),
        (5.0, 5.0 + DAY, Passage(jump=DAY, stall=5.0)),
    ],
)
def test_what_happened_between_two_looks(steady: float, wall: float, passage: Passage) -> None:
    keeper = Timekeeper(1000.0, 5e8)
    assert keeper.look(1000.0 + steady, 5e8 + wall) == passage
    assert keeper.look(1001.0 + steady, 5e8 + 1 + wall) == Passage(), "it is said once"


def test_a_look_that_was_due_later_is_not_late() -> None:
    keeper = Timekeeper(0.0, 0.0)
    assert keeper.look(4.5, 4.5, 3.0) == Passage()
    assert keeper.look(10.0, 10.0, 3.0) == Passage(stall=5.5)
