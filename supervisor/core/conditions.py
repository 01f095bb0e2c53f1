"""What is wrong with the world now: each fault a named state with its reason, held for as long as it lasts.

Owns the list and nothing else: whoever detects a fault sets its condition, and clears it when it is over. A condition
that `holds` keeps new tasks from being started; the others are only said. The time is passed in, the log is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum

from gristmill.supervisor.core.errors import JobFileError
from gristmill.supervisor.core.figures import several
from gristmill.supervisor.core.protocol import ConditionView
from gristmill.supervisor.core.sanitise import safe

CAUSE_MOST = 500
"""Characters of an error that are told."""


class Kind(StrEnum):
    """The faults that have a name."""

    DATABASE = "database"
    DISK = "disk"
    PROCESSES = "processes"
    FILES = "files"
    FOLDER = "folder"
    FAULT = "fault"
    GOVERNOR = "governor"
    SPAWNER = "spawner"
    RUNS = "run folders"
    MEMORY = "memory"
    CLOCK = "clock"
    STALL = "stall"
    SOCKET = "socket"
    DRAIN = "drain"
    PAUSE = "pause"
    LOOP = "loop"
    SETTINGS = "settings"
    RECORD = "record"
    RESULTS = "results"
    GPU = "gpu"
    NOTIFY = "notify"
    WHO = "who"
    REJECTED = "rejected"
    ENGINE = "engine"


def cause(error: BaseException) -> str:
    """What went wrong, in a few words: of several faults at once the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return safe(f"{type(error).__name__}: {error}")[:CAUSE_MOST]


def rejection(error: JobFileError, place: str, files: int) -> str:
    """The reason of `REJECTED`, a line: what is wrong with the last of so many files, and where all of that stands."""
    faults, more = len(error.problems) - 1, files - 1
    also = (f"{faults} more" if faults else "", several(more, "other file") if more else "")
    first = error.problems[0].located(error.file)
    return safe(f"rejected: {'; '.join(filter(None, (first, *also)))} (see {place})")


class Conditions:
    """The faults of one daemon, in the order in which they began."""

    def __init__(
        self, clock: Callable[[], float], wall: Callable[[], float], tell: Callable[[ConditionView, bool], None]
    ) -> None:
        """`clock` only ever grows; `wall` dates what is shown; `tell` hears of begins (True) and ends (False)."""
        self._clock, self._wall, self._tell = clock, wall, tell
        self._now: dict[str, ConditionView] = {}
        self._until: dict[str, float] = {}
        self._again: dict[str, float] = {}

    def set(
        self, kind: str, reason: str, holds: bool = True, for_s: float | None = None, again_s: float | None = None
    ) -> bool:
        """Says that something is wrong, or that it still is and why; returns whether that is news.

        With `for_s` it is over by itself after so many seconds unless it is said again; with `again_s` tasks may be
        tried again after so many, though the condition stays until somebody has seen one succeed.
        """
        known = self._now.get(kind)
        view = ConditionView(kind=str(kind), reason=reason, since=known.since if known else self._wall(), holds=holds)
        self._now[kind] = view
        now = self._clock()
        for times, seconds in ((self._until, for_s), (self._again, again_s)):
            times.pop(kind, None)  # what was said before of its end is not said now
            if seconds is not None:
                times[kind] = now + seconds
        if known is None:
            self._tell(view, True)
        return known is None

    def clear(self, kind: str) -> None:
        """Says that it is over; nothing happens where it was not set."""
        known = self._now.pop(kind, None)
        self._until.pop(kind, None)
        self._again.pop(kind, None)
        if known is not None:
            self._tell(known, False)

    def put(self, kind: str, reason: str, holds: bool = True) -> None:
        """Sets the condition, or clears it when there is no reason for it."""
        if reason:
            self.set(kind, reason, holds)
        else:
            self.clear(kind)

    def reason_of(self, kind: str) -> str:
        """Why this one holds, "" where it does not."""
        view = self._now.get(kind)
        return view.reason if view is not None else ""

    def expire(self) -> None:
        """Clears what was said for a time only."""
        now = self._clock()
        for kind in [kind for kind, until in self._until.items() if until <= now]:
            self.clear(kind)

    @property
    def held(self) -> str:
        """Why nothing new is started now, "" when tasks may be, or may be tried again."""
        now = self._clock()
        holding = (view for kind, view in self._now.items() if view.holds and now < self._again.get(kind, math.inf))
        return next((view.reason for view in holding), "")

    def views(self) -> list[ConditionView]:
        """All that is wrong now, what holds dispatch first."""
        return sorted(self._now.values(), key=lambda view: not view.holds)
