"""The card that a daemon puts up for everybody on its machine (`grist who`): figures alone. No names, no paths, no
commands, no reasons in words of its own, so that there is nothing in it to keep from others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.protocol import DaemonView, LimitView, MachineView

SCHEMA = 1
FRESH_S = 90.0
"""A card that was not renewed for so long is that of a daemon which is gone."""
_WORD = re.compile(r"[a-z][a-z ]{0,23}")

Count = Annotated[int, Meta(ge=0, le=10**15)]
Amount = Annotated[float, Meta(ge=0, le=1e18)]


class Placard(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one daemon. `cores` and `memory_bytes` are what its tasks use, `items_left` those that have not
    ended; `why` is one word of what binds its limit."""

    schema: Count = SCHEMA
    pid: Annotated[int, Meta(ge=1, le=1 << 31)]
    version: Annotated[str, Meta(max_length=40)]
    time: Amount
    started: Amount
    workers: Count
    busy: Count
    fixed: bool = False
    why: Annotated[str, Meta(max_length=24)] = ""
    jobs: Count = 0
    items_left: Count = 0
    cores: Amount = 0.0
    memory_bytes: Count = 0
    nice: Annotated[int, Meta(ge=-20, le=19)] = 0


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A card with whose it is: by the owner of its file, not by what it says."""

    user: str
    uid: int
    card: Placard


_DECODER = msgspec.json.Decoder(Placard)


def make(
    daemon: DaemonView, limit: LimitView, machine: MachineView, work: tuple[int, int], nice: int, now: float
) -> Placard:
    """The card of a daemon at this time; `work` are jobs and items left."""
    return Placard(
        pid=daemon.pid, version=daemon.version, time=round(now, 1), started=round(now - daemon.uptime_s, 1),
        workers=limit.workers, busy=limit.busy, fixed=limit.mode == "fixed", why=why(limit.reason),
        jobs=work[0], items_left=work[1],
        cores=round(machine.cores * machine.cpu_ours_percent / 100, 2), memory_bytes=machine.memory_ours_bytes,
        nice=nice,
    )


def why(reason: str) -> str:
    """The word before the colon of a reason: `memory`, `polite hours`; "" where it has none that is safe to tell."""
    word = reason.partition(":")[0]
    return word if ":" in reason and _WORD.fullmatch(word) else ""


def encode(card: Placard) -> bytes:
    """As it is published."""
    return msgspec.json.encode(card) + b"\n"


def decode(data: bytes) -> Placard:
    """A card that somebody published; raises ValueError with what is wrong."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:  # it may be anybody's
        raise ValueError(str(error)) from error


def is_fresh(card: Placard, now: float) -> bool:
    """Whether its daemon renewed it lately; a date that is to come is no promise."""
    return -FRESH_S <= now - card.time <= FRESH_S


def rows(found: Sequence[Shown], now: float) -> list[tuple[str, ...]]:
    """A table: a line for each daemon, by user."""
    head = ("USER", "PID", "UP", "BUSY", "WHY", "JOBS", "LEFT", "CORES", "MEMORY", "NICE")
    lines = [
        (
            one.user, str(one.card.pid), figures.clock_span(now - one.card.started),
            f"{one.card.busy}/{one.card.workers}{' fixed' if one.card.fixed else ''}", one.card.why, str(one.card.jobs),
            figures.count(one.card.items_left), f"{one.card.cores:.1f}", figures.size(one.card.memory_bytes),
            str(one.card.nice),
        )
        for one in sorted(found, key=lambda one: (one.user, one.card.started))
    ]
    return [head, *lines]
