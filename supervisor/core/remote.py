"""Tasks that run elsewhere: what is handed to an engine and how much of it, and what became of a task, from the records
that nodes write and what the engine answered.

Owns those decisions. Asks no engine and opens no folder (`executors`, `edge.chunks`), counts no attempts (`task`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from signal import SIGTERM
from typing import Any, NamedTuple

from msgspec.structs import replace

from gristmill.supervisor.core.journal import Exit, read_exit

SKEW_S = 90.0
"""For so long a shared folder may show what it was: a record that turns up is no older than the last look and this."""


class Place(NamedTuple):
    """Where a task runs: in this engine, in this chunk, as the task `at` this index of it. `slurm:12.3:7` as text."""

    engine: str
    chunk: str
    at: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """The place that `str` gave; raises ValueError for "", which is here."""
        engine, chunk, at = text.split(":")
        return cls(engine, chunk, int(at))

    def __str__(self) -> str:
        return f"{self.engine}:{self.chunk}:{self.at}"


@dataclass(frozen=True, slots=True)
class Need:
    """What one slot needs: cores, bytes, cards, seconds; None: not known, so not said."""

    cpus: int = 1
    memory_bytes: int | None = None
    gpus: int = 0
    time_s: float | None = None


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What an engine says of the slots of one chunk: those that wait, why; those that run, on which host. One that it
    holds back by itself, and will not start before somebody does something about that, is `stuck`."""

    queued: frozenset[int] = frozenset()
    running: Mapping[int, str] = field(default_factory=dict)
    reason: str = ""
    stuck: frozenset[int] = frozenset()

    def knows(self, slot: int) -> bool:
        """Whether the engine has the slot still."""
        return slot in self.running or slot in self.queued


class End(StrEnum):
    """How an engine says that it ended a slot, where that matters to us."""

    ENDED = "ended"
    """By itself, or so the engine thinks: without a record nobody knows how."""
    MEMORY = "memory"
    TIME = "time"
    CANCELED = "canceled"
    """By somebody, whom the engine may name."""
    PREEMPTED = "preempted"
    """To make room for others: that is no fault of the task's."""
    NODE = "node"
    """Its node went away."""


class Ended(NamedTuple):
    """An engine's word on a slot that it runs no more, with its own words."""

    how: End
    words: str


_WRITTEN = (
    (re.compile(r"(?i)exceeded .*memory limit|oom.?kill"), End.MEMORY, "out of memory, as claimed or learned"),
    (re.compile("CANCELLED AT .* DUE TO TIME LIMIT"), End.TIME, "past its time limit"),
    (re.compile("CANCELLED AT .* DUE TO (?:PREEMPTION|JOB REQUEUE)"), End.PREEMPTED, "preempted"),
    (re.compile("CANCELLED AT .* DUE TO NODE FAILURE"), End.NODE, "its node failed"),
    (re.compile("CANCELLED AT "), End.CANCELED, "cancelled by somebody"),
)
"""What an engine writes into a slot's log when it ends it, the first that fits; that is there when it tells nothing."""


def written(tail: str) -> Ended | None:
    """How an engine ended a slot, by what it wrote into the slot's log; None where that tells nothing."""
    return next((Ended(how, words) for pattern, how, words in _WRITTEN if pattern.search(tail)), None)


class Seen(NamedTuple):
    """What the shared folder shows of a chunk: indexes of tasks that were claimed by nodes, and that have a record."""

    claimed: frozenset[int] = frozenset()
    ended: frozenset[int] = frozenset()


def exit_of(record: Mapping[str, Any], looked_at: float, now: float) -> Exit:
    """The exit that a node's record tells, on our clock: it came to an end between the look before (`looked_at`) and
    `now`, whatever the node's clock said, and lasted as long as its steady clock measured."""
    end = read_exit(dict(record))
    wall_s = max(0.0, float(record.get("wall", end.ended_at - end.started_at)))
    ended = min(now, max(end.ended_at, looked_at - SKEW_S))
    return replace(end, started_at=ended - wall_s, ended_at=ended)


def asked_for(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record of a task whose end we asked for: that is how it ended, whether its node or itself heard first."""
    heard = SIGTERM in (record.get("signal"), (record.get("code") or 0) - 128)
    return {**record, "why": "cancel"} if record.get("why") == "term" or (not record.get("why") and heard) else record


def chunk_size(waiting: int, room: int, most: int, start_more: bool) -> int:
    """Tasks of the next chunk of a job of which so many wait, where the engine's queue has `room` and a chunk may have
    `most`. A chunk that would use up a little room of a long queue waits for more, unless the job has nothing else
    there (`start_more`): each chunk costs a call, and a line in everybody's lists."""
    size = min(waiting, room, most)
    if size <= 0 or (size < waiting and size < min(most, max(1, room)) // 4 and not start_more):
        return 0
    return size


def packed(wall_s: float, start_s: float, timeout_s: float | None) -> int:
    """Tasks that a slot runs one after another: as many as make a tenth of its time go into its start. One while
    nothing is known, and where a task may take long: those are canceled and lost one by one."""
    if not 0 < wall_s < 9 * start_s:
        return 1
    most = math.ceil(9 * start_s / max(wall_s, 0.01))
    return max(1, min(most, 100 if timeout_s is None else int(600 / max(timeout_s, 1.0))))


def overflow(waiting: int, wall_s: float | None, workers: float, patience_s: float) -> int:
    """How many of the tasks that wait go beyond this machine, so that those left for it are done in `patience_s`
    seconds by so many workers in the mean. None while it is not known how long one takes."""
    if not wall_s or waiting <= 0:
        return 0
    return max(0, waiting - math.ceil(workers * patience_s / wall_s))


def pause(failures: int, least_s: float, most_s: float = 30.0) -> float:
    """Seconds until an engine that did not answer so many times in a row is asked again."""
    return min(most_s, least_s * 2.0 ** min(failures, 16))


def shares(waiting: Sequence[tuple[int, int, int]], room: int) -> dict[int, int]:
    """How many tasks of each job go next, where `room` is left: of (id, priority, tasks that wait) the higher priority
    takes first, and equals share, so that a job of ten is not behind one of ten thousand."""
    found: dict[int, int] = {}
    for priority in sorted({one[1] for one in waiting}, reverse=True):
        left = {job: tasks for job, at, tasks in waiting if at == priority and tasks > 0}
        while left and room > 0:
            even = max(1, room // len(left))
            for job, tasks in list(left.items()):
                part = min(even, tasks, room)
                found[job] = found.get(job, 0) + part
                room -= part
                left[job] = tasks - part
                if not left[job]:
                    del left[job]
    return found


class Fate(NamedTuple):
    """What becomes of an attempt that left no record: `exit` says how it ended where the engine told enough of that;
    `again` that it is queued once more and does not count; else it is lost. `words` are to be shown."""

    words: str
    exit: Exit | None = None
    again: bool = False


def fate(engine: str, ended: Ended | None, host: str, began: float | None, now: float, tail: str = "") -> Fate:
    """What to make of the engine's word on a task that began (`began`) on `host`, if it has one; `tail` is what the
    engine itself wrote of the chunk."""
    at = f" on {host}" if host else ""
    if ended is None or ended.how is End.ENDED:
        ended = written(tail) or ended
    if ended is None or ended.how in (End.ENDED, End.NODE):
        said = f": {engine} says {ended.words}" if ended is not None and ended.words else ""
        return Fate(f"it left no record{at}{said}" + (f" ({tail})" if tail else ""))
    words = f"{engine}: {ended.words}{at}"
    bare = Exit(None, 9, None, began or now, now, 0.0, 0, None, None, words)
    if ended.how is End.MEMORY:
        return Fate(words, replace(bare, oom=True))
    if ended.how is End.TIME:
        return Fate(words, replace(bare, signal=15, why="timeout", raised=words))
    if ended.how is End.CANCELED:
        return Fate(words, replace(bare, signal=15, why="cancel", raised=words))
    return Fate(words, again=True)


@dataclass(slots=True)
class Missing:
    """Since when each task of a chunk is in neither queue nor records, by a clock that only grows."""

    grace_s: float
    since: dict[int, float] = field(default_factory=dict)

    def look(self, open_tasks: frozenset[int], there: frozenset[int], now: float) -> list[int]:
        """Which of the tasks that have no record are lost by now; `there` are those that the engine has."""
        gone = open_tasks - there
        self.since = {index: self.since.get(index, now) for index in gone}
        return sorted(index for index, at in self.since.items() if now - at >= self.grace_s)
