"""How many tasks may run after some had to be ended for lack of memory: what was left, and more again by and by.

Owns that number alone: whether any must be ended is `brake`'s.
"""

from __future__ import annotations

import msgspec

from gristmill.supervisor.core.governor.memory import reserve, theirs
from gristmill.supervisor.core.governor.reading import Reading

MORE_S = 30.0
"""So often one more may run, while work waits."""
PLENTY = 0.6
"""With so much of what may be used free it is other tasks that run than those which were too many."""


class Cap(msgspec.Struct, frozen=True, array_like=True):
    """No more than `number`; `theirs` is the most bytes that others have held since what was ended is gone, 0 before:
    what they give back of it makes room for as many more, for it was they who took what was lacking."""

    number: float
    theirs: float = 0.0

    def follow(
        self, reading: Reading, running: int, coming: bool, doubt: float, free: float, dt: float
    ) -> Cap | None:
        """After one more reading with so many `running`; memory of ended ones is still `coming`, so many bytes may be
        ours or others', `free` is beyond the reserve. None once it holds nobody back any more."""
        number, kept, held = self.number, reserve(reading), theirs(reading)
        if reading.waiting:
            number += dt / MORE_S
        each = max(kept, sum(task.memory for task in reading.running) / max(1, running))
        if self.theirs - held > each:
            number += (self.theirs - held) / each
        else:
            held = 0.0 if coming else max(held - doubt, self.theirs)
        if number > 2 * running + 4 or free > PLENTY * (reading.memory_total - kept):
            return None
        return Cap(number, held)
