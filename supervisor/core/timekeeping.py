"""Whether time passes as it should: told by two clocks, one that can be set and one that only ever grows."""

from __future__ import annotations

from typing import NamedTuple

JUMP_S = 2.0
"""The clock was set if it is off by more than this since the look before; less is how clocks are kept right."""
STALL_S = 3.0
"""A look that was due after a second, and comes so much later than the one before, had to wait."""


class Passage(NamedTuple):
    """What happened between two looks, in seconds: `jump` of the clock (negative: back), `stall` of ourselves."""

    jump: float = 0.0
    stall: float = 0.0


class Timekeeper:
    """Compares each look with the one before."""

    def __init__(self, steady: float, wall: float) -> None:
        self._steady, self._wall = steady, wall

    def look(self, steady: float, wall: float, period: float = 1.0) -> Passage:
        """`steady` is the clock that only grows, `wall` the one that people set; a look was due after `period`."""
        passed, shown = steady - self._steady, wall - self._wall
        self._steady, self._wall = steady, wall
        jump = shown - passed
        return Passage(jump if abs(jump) > JUMP_S else 0.0, passed if passed > STALL_S + period - 1 else 0.0)
