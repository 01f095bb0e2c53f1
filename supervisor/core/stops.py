"""Which tasks are to be stopped now, why, and for how long each has been stopped.

Owns these figures and no task: whoever stops one says so here, `now` by a steady clock. A task that goes on keeps
its count until it is forgotten, so that its age can be told without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gristmill.supervisor.core.journal import Key

SHORT = "stopped with all its processes: memory is short"


@dataclass(slots=True)
class _Stop:
    reason: str | None = None  # why it is to be stopped, None while it is not
    since: float | None = None  # since when it is
    seconds: float = 0.0  # of its stops before


class Stops:
    """Attempts that are or were stopped."""

    def __init__(self) -> None:
        self._known: dict[Key, _Stop] = {}

    def wanted(self) -> list[Key]:
        """Those that are to be stopped, the longest asked for first."""
        return [key for key, stop in self._known.items() if stop.reason is not None]

    def known(self) -> list[Key]:
        """All that are or were stopped, and are not forgotten."""
        return list(self._known)

    def want(self, key: Key, reason: str) -> None:
        """From now on it is to be stopped."""
        self._known.setdefault(key, _Stop()).reason = reason

    def release(self, key: Key) -> None:
        """It is to go on."""
        if key in self._known:
            self._known[key].reason = None

    def reason(self, key: Key) -> str:
        """Why it is to be stopped, or was a moment ago."""
        stop = self._known.get(key)
        return SHORT if stop is None or stop.reason is None else stop.reason

    def began(self, key: Key, now: float) -> None:
        """Now it stands still."""
        stop = self._known.setdefault(key, _Stop())
        if stop.since is None:
            stop.since = now

    def over(self, key: Key, now: float) -> None:
        """Now it runs again."""
        stop = self._known.get(key)
        if stop is not None and stop.since is not None:
            stop.seconds += now - stop.since
            stop.since = None

    def add(self, key: Key, seconds: float) -> None:
        """It was stopped for so long under an earlier daemon."""
        if seconds:
            self._known.setdefault(key, _Stop()).seconds += seconds

    def seconds(self, key: Key, now: float) -> float:
        """For how long it has been stopped in all."""
        stop = self._known.get(key)
        if stop is None:
            return 0.0
        return stop.seconds + (now - stop.since if stop.since is not None else 0.0)

    def forget(self, key: Key) -> None:
        """It has ended."""
        self._known.pop(key, None)
