"""One beat for all that is looked at now and then: whoever waits for the next wakes with the others, all at once; and
waiting for an event that may come sooner.

Threads that look by themselves do so off the beat: two that are awake at once have each other wait for the interpreter,
over and over, and each such wait is a waking.
"""

from __future__ import annotations

import asyncio

NEAR = 0.1
"""Of a period: a beat as near as this is the one that has just woken us, a moment early."""


def pause(period: float) -> float:
    """Seconds until the next whole multiple of `period` by the clock of the event loop."""
    return until(period, asyncio.get_running_loop().time())


def until(period: float, now: float, off: float = 0.0) -> float:
    """The same at `now`, of a beat that comes so many seconds later: from a tenth of a period to one and a tenth."""
    left = period - (now - off) % period
    return left if left >= NEAR * period else left + period


async def within(event: asyncio.Event, seconds: float | None) -> bool:
    """Waits until an event is set, so many seconds at most; whether it was."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        pass
    return event.is_set()
