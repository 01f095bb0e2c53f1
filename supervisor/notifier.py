"""Tells people what they asked to be told: runs their notifier for each such event, one after the other, in a thread.

Bounded in time (SECONDS each), in number (see `core.notices.Budget`) and in tries: none is sent twice, and one that
fails FAILS times in a row is left alone until it is written in another way. Nothing waits for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from gristmill.supervisor import beat
from gristmill.supervisor.core import notices, shell
from gristmill.supervisor.core.conditions import Conditions, Kind, cause
from gristmill.supervisor.core.events import Event
from gristmill.supervisor.core.notices import APPRISE, Budget
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.spec import Notify
from gristmill.supervisor.edge import courier
from gristmill.supervisor.edge.courier import Errand

log = logging.getLogger(__name__)

SECONDS = 30.0
FAILS = 3
WAITING = 100
"""Events that wait for their turn; what comes beyond them goes into the digest."""

Command: TypeAlias = str | tuple[str, ...]


class Letter(NamedTuple):
    """A message, and what sends it."""

    command: Command
    message: dict[str, Any]


class Notifier:
    """The messages of one daemon, on their way."""

    def __init__(
        self, settings: Callable[[], Settings], conditions: Conditions, jobs: Path, clock: Callable[[], float]
    ) -> None:
        self._settings, self._conditions, self._clock = settings, conditions, clock
        self._cwd = jobs.parent
        self._where = {"host": socket.gethostname(), "jobs_dir": str(jobs)}
        self._letters: deque[Letter] = deque()
        self._budget = Budget()
        self._wake = asyncio.Event()
        self._bad: dict[Command, int] = {}

    def hear(self, event: Event, notify: Notify) -> None:
        """Takes an event in, if anybody is to be told of it."""
        topic = notices.topic(event)
        settings = self._settings()
        if topic is None or notify is False:
            return
        command = settings.notify if notify is True else notify
        if not command or (notify is True and topic not in settings.notify_on):
            return
        if len(self._letters) < WAITING and self._budget.admits(time.monotonic()):
            self._letters.append(Letter(command, notices.message(event, topic, self._where)))
        elif settings.notify:
            self._budget.put_off(topic, notices.words(event), time.monotonic())
        self._wake.set()

    async def run(self) -> None:
        """Sends, for as long as the daemon lives."""
        while True:
            while self._letters:
                await self._send(self._letters.popleft())
            due = self._budget.due_s(time.monotonic())
            if due == 0.0:
                digest = self._budget.digest(self._clock(), self._where)
                if command := self._settings().notify:
                    await self._send(Letter(command, digest))
                continue
            self._wake.clear()
            await beat.within(self._wake, due)  # else a digest is due

    async def _send(self, letter: Letter) -> None:
        if self._bad.get(letter.command, 0) >= FAILS:
            return
        errand = errand_of(letter, self._cwd, SECONDS)
        try:
            fault = await asyncio.shield(asyncio.to_thread(errand.run))
        except asyncio.CancelledError:
            errand.end()  # the daemon stops, and waits for no notifier
            raise
        if not fault:
            self._bad.pop(letter.command, None)
            self._conditions.clear(Kind.NOTIFY)
            return
        fails = self._bad[letter.command] = self._bad.pop(letter.command, 0) + 1
        while len(self._bad) > WAITING:
            del self._bad[next(iter(self._bad))]
        off = " – it is not tried again until it is written in another way" if fails >= FAILS else ""
        self._conditions.set(Kind.NOTIFY, f"notify: {shown(letter.command)}: {safe(fault)}{off}", holds=False)

    def farewell(self, error: BaseException) -> None:
        """The daemon ends by a fault of its own: said at once, as there will be nobody later."""
        if (command := self._settings().notify) and "fault" in self._settings().notify_on:
            text = f"the daemon ends by a fault of its own ({cause(error)}); its tasks go on"
            message = {"schema": notices.SCHEMA, "topic": "fault", "event": "daemon", "text": text, **self._where,
                       "time": self._clock()}  # fmt: skip
            if fault := errand_of(Letter(command, message), self._cwd, SECONDS / 3).run():
                log.warning("notify: %s: %s", shown(command), fault)


def errand_of(letter: Letter, cwd: Path, seconds: float) -> Errand:
    """What sends a letter."""
    command, message = letter
    if isinstance(command, str) and command.startswith(APPRISE):
        argv, message = courier.by_apprise(), {**message, "apprise": command.removeprefix(APPRISE)}
    else:
        argv = [*shell.ARGV, command] if isinstance(command, str) else list(command)
    return Errand(argv, json.dumps(message).encode() + b"\n", cwd, seconds)


def shown(command: Command) -> str:
    """What a notifier is called where others may read it: what follows its first word may hold a secret."""
    if isinstance(command, str) and command.startswith(APPRISE):
        return f"{APPRISE}{command.removeprefix(APPRISE).partition(':')[0]}:…"
    first, *more = command.split() if isinstance(command, str) else command
    return safe(f"{first} …" if more else first)
