"""The line between an open job and the program that sends its items; it outlives daemons.

Owns two connections: one asks, one listens. When the daemon goes, both wait for the next one, say what the program
still awaits, and go on; only when none has come for `patience_s` is the line broken for good. Threads share a link.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

from gristmill.supervisor.core.errors import NoDaemonError
from gristmill.supervisor.edge.client import Client

LISTEN_S = 30.0
"""Seconds for which one question for news waits."""
ANSWER_S = 30.0
PAUSES_S = (0.02, 0.5)
"""Pause before a daemon that is away is tried again: the first, doubled each time, and the longest."""

Awaits = Callable[[], list[tuple[int, int]]]


class Link:
    """Asks and listens on behalf of one job."""

    def __init__(self, socket: Path, job: int, awaits: Awaits, patience_s: float) -> None:
        """Attaches to the job; `awaits` are the ranges of items whose ends have not been heard of."""
        self._socket, self._job, self._awaits, self._patience_s = socket, job, awaits, patience_s
        self._asking, self._renewing = threading.Lock(), threading.Lock()
        self._closed = threading.Event()
        self._generation = 0
        self._ask, self._listen = self._connect()

    def ask(self, op: str, **arguments: Any) -> Any:
        """The daemon's answer about the job, given once although it may be asked for again; BrokenExecutor when no
        daemon comes back, GristError when it refuses."""
        while True:
            generation = self._generation
            try:
                with self._asking:
                    return self._ask.ask(op, job=self._job, **arguments)
            except NoDaemonError as error:
                self._renew(generation, error)

    def news(self) -> dict[str, Any]:
        """What has become of the job's items, waited for."""
        while True:
            generation, listen = self._generation, self._listen
            try:
                found: dict[str, Any] = listen.ask("ends", job=self._job, timeout=LISTEN_S)
                return found
            except NoDaemonError as error:
                self._renew(generation, error)
                listen.__exit__()

    def close(self) -> None:
        """Hangs up, once nobody listens any more."""
        self._closed.set()
        with self._renewing, self._asking:
            self._ask.__exit__()
            self._listen.__exit__()

    def _renew(self, generation: int, error: NoDaemonError) -> None:
        """New connections, to this daemon or the next, unless somebody has just made them."""
        with self._renewing:
            if generation != self._generation:
                return
            end = time.monotonic() + self._patience_s
            pause, longest = PAUSES_S
            while not self._closed.is_set():
                try:
                    fresh = self._connect()
                except NoDaemonError as again:
                    error = again
                else:
                    with self._asking:
                        self._ask.__exit__()
                        self._listen.hang_up()  # closed by who listens
                        self._ask, self._listen = fresh
                    self._generation += 1
                    return
                if time.monotonic() > end:
                    raise BrokenExecutor(f"the daemon went away {self._patience_s:g} s ago: {error}") from error
                self._closed.wait(pause)
                pause = min(2 * pause, longest)
            raise BrokenExecutor("closed while the daemon was away") from error

    def _connect(self) -> tuple[Client, Client]:
        ask = Client(self._socket, ANSWER_S)
        try:
            listen = Client(self._socket, LISTEN_S + ANSWER_S)
            try:
                ask.ask("attach", job=self._job, awaits=self._awaits())
            except Exception:
                listen.__exit__()
                raise
        except Exception:
            ask.__exit__()
            raise
        return ask, listen
