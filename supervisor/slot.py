"""One worker process of ours, as the daemon sees it: the tasks that were sent to it and are not yet answered.

Owns that account. It sends what it is given and chooses nothing: what is sent is the pool's, what is to be stopped or
ended is `orders`'s.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import Any

from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.edge.spawner import Line
from gristmill.supervisor.workshop import Workshop


@dataclass(slots=True, eq=False)
class Slot:
    """A worker by number, on run folder `run`. `flight` are the tasks that it has, oldest first."""

    number: int
    run: int
    shop: Workshop | None = None
    """Where it makes calls; None for commands."""
    line: Line | None = None
    pid: int | None = None
    flight: dict[Key, Task] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)
    """Jobs whose context it has."""
    feeder: asyncio.Task[None] | None = None
    since: float = 0.0
    """When it was last given a task or answered one."""
    unsent: set[Key] = field(default_factory=set)
    """Of these such as are still being written down, and stand behind another."""
    patience_s: float = 0.0
    """Longer than usual by so much it may take over a task that others stand behind."""
    retiring: bool = False
    held: Key | None = None
    """The task in hand while that is to be stopped: nothing is sent after it."""
    _most: float = 0.0  # of so many tasks left its feeder wants to hear
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def head(self) -> Key | None:
        """The task in hand: the first of those sent."""
        return next(iter(self.flight), None)

    @property
    def idle(self) -> bool:
        """Whether it waits for a task."""
        return not self.flight and not self.retiring and self.line is not None

    def send(self, *messages: dict[str, Any]) -> None:
        """Sends in one write; nothing where it has not come to be yet."""
        if self.line is not None:
            self.line.send(list(messages))

    def call_back(self) -> None:
        """Asks for the tasks behind the one in hand, if there are any."""
        if len(self.flight) > 1:
            self.send({"drop": True})

    def retire(self) -> None:
        """Lets it go: it finishes what it has in hand and leaves."""
        self.retiring = True
        if self.feeder is not None:
            self.feeder.cancel()
        self.send({"quit": True})

    def answered(self, key: Key) -> None:
        """Strikes a task out: it has ended, or was given back."""
        del self.flight[key]
        self.since = time.monotonic()
        if self.held == key:
            self.held = None
        if len(self.flight) <= self._most:
            self._heard.set()

    def free(self) -> None:
        """Tasks may be sent again."""
        self.held = None
        self._heard.set()

    def take_back(self) -> list[Key]:
        """Strikes out what was not sent yet; which tasks that were."""
        taken = list(self.unsent)
        self.unsent.clear()
        for key in taken:
            del self.flight[key]
        self._heard.set()
        return taken

    async def left(self, most: float = math.inf) -> None:
        """Waits until `most` tasks at most are left to be answered, and none of them is stopped."""
        self._most = most
        while len(self.flight) > most or self.held is not None:
            self._heard.clear()
            await self._heard.wait()
