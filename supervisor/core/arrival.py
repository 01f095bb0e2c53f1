"""When a file that comes into the folder is all there: how long it must hold still, by how it came.

A file that was moved in is whole at once. One that is written in place must hold still, as writers close a file and
open it again to append; an empty one gets longer, as its writer may only have made its name. Whether somebody holds
it open is the kernel's to say, and asked by the caller of those that are ripe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

Settled: TypeAlias = tuple[int, ...]
"""What tells two looks at a growing file apart; the size comes first."""

STILL_S = 1.0
EMPTY_S = 10.0
BLIND_S = 5.0
"""Where the file system can't tell whether a file is open (NFS, sshfs)."""
OVERDUE_S = 60.0
"""After this long a file that is held open is worth a word to its user."""


@dataclass(frozen=True, slots=True)
class _Seen:
    settled: Settled
    since: float
    moved: bool
    held: bool = False


class Arrivals:
    """The files that lie in the folder and are not taken yet, as the looks so far have seen them."""

    def __init__(self) -> None:
        self._seen: dict[bytes, _Seen] = {}

    def look(self, found: Iterable[tuple[bytes, Settled]], moved: Mapping[bytes, bool], now: float) -> list[bytes]:
        """Takes in a look, and hints (True: moved in, False: written); returns what has held still for long enough."""
        before, self._seen = self._seen, {}
        ripe = []
        for name, settled in found:
            seen = before.get(name)
            if seen is None or seen.settled != settled:
                seen = _Seen(settled, now, moved.get(name, False))
            elif name in moved:
                seen = replace(seen, moved=moved[name])
            self._seen[name] = seen
            if now - seen.since >= self._needed(seen):
                ripe.append(name)
        return ripe

    @staticmethod
    def _needed(seen: _Seen) -> float:
        if seen.settled[0] == 0:
            return EMPTY_S
        return 0.0 if seen.moved else STILL_S

    def whole(self, name: bytes, closed: bool | None, now: float) -> bool:
        """Whether a ripe file may be taken; `closed` None: the kernel can't tell."""
        seen = self._seen[name]
        if closed is None:
            return seen.moved or now - seen.since >= BLIND_S
        if not closed:
            self._seen[name] = replace(seen, held=True)
        return closed

    def due_s(self, now: float) -> float | None:
        """Seconds until the next one is ripe; None when none waits for time alone."""
        waits = [
            left for seen in self._seen.values()
            if not seen.held and (left := seen.since + self._needed(seen) - now) > 0
        ]
        return min(waits, default=None)

    def overdue(self, now: float) -> list[bytes]:
        """Those that somebody has held open for long without writing."""
        return [name for name, seen in self._seen.items() if seen.held and now - seen.since >= OVERDUE_S]
