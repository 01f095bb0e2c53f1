"""Memory that is left to another user's batch work: an equal's due, as of the cores.

Two governors that know nothing of each other each fill what is free, so whoever came first would keep it all. The one
who holds more than an equal share leaves some free while somebody niced gets less than his share of the cores; taken,
it is offered again; not taken for a while, it was not memory that he lacked, and ever more time goes by until he is
asked again. Owns that offer alone: what it leaves for tasks of ours is `memory`'s.
"""

from __future__ import annotations

import msgspec

from gristmill.supervisor.core.governor.memory import reserve
from gristmill.supervisor.core.governor.others import Others
from gristmill.supervisor.core.governor.reading import Reading

PART = 0.15
"""Of the memory that may be used at all: enough for the first task of a kind never seen, which asks for 8 % of all."""
TAKEN = 0.3
"""An offer of which so much is gone has been taken."""
STANDS_S = 20.0
"""For so long it stands once it is there to be taken."""
AGAIN_S, AGAIN_MOST_S = 60.0, 600.0
"""Pause after an offer that nobody took; doubled each time."""


class Offer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`size` in bytes, 0 for none; what others held when it was made; since when it is there to be taken; when the next
    may be made, after which pause."""

    size: float = 0.0
    theirs: float = 0.0
    open: float | None = None
    due: float = 0.0
    pause: float = AGAIN_S


def follow(before: Offer, reading: Reading, others: Others, growth: float) -> Offer:
    """The offer after one more reading; our tasks are still expected to grow by `growth` bytes."""
    held = sum(task.memory for task in reading.running)
    ours = held + growth
    usable = reading.memory_total - reserve(reading)
    theirs = max(0.0, reading.memory_total - reading.memory_available - held)
    equals = 1 + max(1, others.users)
    if not _is_short(reading, others, equals) or ours <= usable / equals or theirs >= usable / equals:
        return Offer(due=before.due, pause=before.pause)
    size = min(PART * usable, ours - usable / equals)
    if not before.size:
        return before if reading.at < before.due else Offer(size, theirs, pause=before.pause)
    if theirs - before.theirs >= TAKEN * before.size:
        return Offer(size, theirs)
    there = reading.memory_available - reserve(reading) >= 0.9 * before.size
    opened = before.open if before.open is not None else reading.at if there else None
    if opened is not None and reading.at - opened >= STANDS_S:
        return Offer(due=reading.at + before.pause, pause=min(AGAIN_MOST_S, 2 * before.pause))
    return Offer(before.size, before.theirs, opened, pause=before.pause)


def _is_short(reading: Reading, others: Others, equals: int) -> bool:
    """Whether an equal is there who gets clearly less than his share of the cores. (Beside ours at a usual niceness
    niced work is none: it gives way by itself, and no demand of it is known.)"""
    return others.niced.demand > 0 and others.niced.smooth < 0.9 * reading.cores / equals


