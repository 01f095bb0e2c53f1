"""Whom to call and when: which events people are told of, in which words, and how many of them.

Pure; `notifier` sends. What comes in a flood is told as one digest, so that a night of ten thousand failures is a score
of messages and one more every ten minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from gristmill.supervisor.core import shell
from gristmill.supervisor.core.conditions import Kind
from gristmill.supervisor.core.events import ConditionEvent, Event, JobEvent
from gristmill.supervisor.core.figures import clock_span
from gristmill.supervisor.core.findings import Fault

Topic: TypeAlias = Literal["done", "failed", "held", "disk", "fault"]
TOPICS: tuple[Topic, ...] = ("done", "failed", "held", "disk", "fault")

SCHEMA = 1
BURST = 20
"""Messages that may go out at once."""
EVERY_S = 30.0
"""Then one in so many seconds."""
DIGEST_S = 600.0
"""What went past that is told together, so long after the first of it."""
NAMED = 20
APPRISE = "apprise:"
_OUR_OWN = ("held by the user",)
"""Reasons of a hold that its user knows of."""
_NO_FAULTS = frozenset({Kind.DRAIN, Kind.PAUSE, Kind.MEMORY, Kind.CLOCK, Kind.STALL})
"""What is as it should be, or over in a moment."""
_FAULTS = frozenset({Kind.FAULT, Kind.FOLDER, Kind.GOVERNOR, Kind.SPAWNER, Kind.SETTINGS, Kind.RECORD})
"""What holds nothing up and yet wants somebody."""


def topic(event: Event) -> Topic | None:
    """What sort of news this is, None for nobody's."""
    if isinstance(event, JobEvent):
        if event.state == "held":
            return None if event.reason in _OUR_OWN else "held"
        return "done" if event.state == "done" else "failed" if event.state == "failed" else None
    if not isinstance(event, ConditionEvent) or event.state != "began" or event.kind in _NO_FAULTS:
        return None
    if event.kind == Kind.DISK:
        return "disk"
    return "fault" if event.holds or event.kind in _FAULTS or event.kind.startswith(Kind.LOOP) else None


def words(event: Event) -> str:
    """The news in one line, as the title of a message."""
    if isinstance(event, JobEvent):
        took = None if event.ended_at is None or event.started_at is None else event.ended_at - event.started_at
        span = "" if took is None else f" in {clock_span(took)}"
        failed = f", {event.items_failed} failed" if event.items_failed else ""
        items = f"{event.items_done} of {event.items} items done{failed}"
        reason = f": {event.reason}" if event.reason else ""
        return f"job {event.id} ({event.name}) {event.state}{span}, {items}{reason}"
    return event.reason if isinstance(event, ConditionEvent) else ""


def message(event: Event, said: Topic, where: Mapping[str, str]) -> dict[str, Any]:
    """What a notifier gets on its input: `topic`, `text`, the event, and `where` (host, jobs folder)."""
    return {"schema": SCHEMA, "topic": said, "text": words(event), **where, **msgspec.to_builtins(event)}


class Budget:
    """How many messages may go out; the rest becomes a digest."""

    def __init__(self) -> None:
        self._left, self._at = float(BURST), 0.0
        self._since = 0.0
        self._counts: dict[str, int] = {}
        self._named: list[str] = []

    def admits(self, now: float) -> bool:
        """Whether one more may go out now."""
        self._left = min(float(BURST), self._left + (now - self._at) / EVERY_S)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def put_off(self, said: Topic, text: str, now: float) -> None:
        """This one is told later, with others."""
        if not self._counts:
            self._since = now
        self._counts[said] = self._counts.get(said, 0) + 1
        if len(self._named) < NAMED:
            self._named.append(text)

    def due_s(self, now: float) -> float | None:
        """In how many seconds there is a digest to send, None for no digest."""
        return max(0.0, self._since + DIGEST_S - now) if self._counts else None

    def digest(self, now: float, where: Mapping[str, str]) -> dict[str, Any]:
        """All that was put off, in one message."""
        counts, named = self._counts, self._named
        self._counts, self._named = {}, []
        total = sum(counts.values())
        text = f"{total} more: " + ", ".join(f"{number} {said}" for said, number in counts.items())
        return {"schema": SCHEMA, "topic": "digest", "event": "digest", "text": text, **where, "time": now,
                "counts": counts, "first": named}


def command(given: str | list[str] | tuple[str, ...]) -> str | tuple[str, ...]:
    """A notifier as it was written; raises `Fault`."""
    read = given if isinstance(given, str) else tuple(given)
    if shell.is_empty(read):
        raise Fault("the command is empty", 'write one, such as "mail -s gristmill ann@example.org"')
    if "\0" in "".join(read):
        raise Fault("a NUL character", "remove it")
    return read
