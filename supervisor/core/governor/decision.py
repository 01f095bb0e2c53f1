"""What the governor answers: a limit with what binds it, which tasks fit, which are stopped, resumed and ended."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Binding(StrEnum):
    """The constraint that sets the limit now."""

    RAMP = "ramp"
    CPU = "cpu"
    OTHERS = "others"
    MEASURED = "measured"
    MEMORY = "memory"
    PROBE = "probe"
    CANARY = "canary"
    POLITE = "polite"
    USER = "user"
    WORK = "work"


class Allow(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many workers one constraint allows, None for any number, and its figures in words."""

    binding: Binding
    workers: int | None
    words: str


class Fit(msgspec.Struct, frozen=True, omit_defaults=True):
    """Memory for tasks of one kind: what one more is taken to need, what is free for it, and how many may run.

    `counted` is how many of the kind the room allows for already. Of a `brief` kind those that end before the next
    reading make room for others at once; of others the next reading tells.
    """

    need: float
    room: float
    most: int | None = None
    counted: float = 0.0
    brief: bool = False


def taken(fits: Mapping[str, Fit], running: Mapping[str, int]) -> float:
    """Bytes that tasks were given since the reading, with so many `running` of each kind now."""
    more = {kind: running.get(kind, 0) - fit.counted for kind, fit in fits.items()}
    return sum(fits[kind].need * (count if fits[kind].brief else max(0.0, count)) for kind, count in more.items())


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds until the next reading.

    A task of a kind is started while fewer than `limit` workers are busy and `admits` says so. `stop`, `resume` and
    `kill` name tasks: to be stopped with all their processes, to go on, to be ended and queued again.
    """

    limit: int
    binding: Binding
    reason: str
    allows: tuple[Allow, ...] = ()
    fits: dict[str, Fit] = {}
    stop: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    kill: tuple[str, ...] = ()
    held: str = ""
    """Why nothing at all is started now, "" when something may be."""

    def admits(self, kind: str, running: Mapping[str, int]) -> bool:
        """Whether one more task of `kind` may start, with so many `running` of each kind now."""
        fit = self.fits.get(kind)
        if self.held or fit is None:
            return not self.held
        if fit.most is not None and running.get(kind, 0) >= fit.most:
            return False
        return fit.need <= fit.room - taken(self.fits, running)
