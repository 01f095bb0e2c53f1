"""What the governor answers: a limit with what binds it, which tasks fit, which are stopped, resumed and ended."""

from __future__ import annotations

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


class Fit(msgspec.Struct, frozen=True):
    """Memory for tasks of one kind: what one more is taken to need, what is free for it, and how many may run."""

    need: float
    room: float
    most: int | None = None


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

    def admits(self, kind: str, running: int, taken: float) -> bool:
        """Whether one more task of `kind` may start: `running` of it do, and `taken` bytes have been given to tasks
        started since the reading."""
        fit = self.fits.get(kind)
        if self.held or fit is None:
            return not self.held
        return (fit.most is None or running < fit.most) and fit.need <= fit.room - taken
