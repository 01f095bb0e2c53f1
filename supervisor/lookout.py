"""Looks into the jobs folder, in a thread of its own, and says which files are complete.

A folder that hangs holds up its own files and nobody else. Hints from the kernel only make the next look come sooner.
While nothing lies there the thread looks by itself, and the event loop is not woken.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from gristmill.supervisor import beat
from gristmill.supervisor.core.arrival import Arrivals
from gristmill.supervisor.core.filenames import job_like
from gristmill.supervisor.edge.folder import Found, JobsFolder
from gristmill.supervisor.edge.watch import Bell, Watch

LOOK_EVERY = 2.0
"""Seconds between two looks when no hint comes."""
LOOK_OFF = 1.0
"""Seconds after the beat at which the thread that looks does so."""
LOOK_MOST = 2000
"""Files that are looked at together while some of them can be taken: of a flood the oldest, for each takes memory."""
REST = 0.02
"""Seconds until the next look where hints came during the last one, or twice as long as looking took: hints come by the
thousand."""

T = TypeVar("T")


class Lookout:
    """Who looks into one folder."""

    def __init__(self, folder: JobsFolder) -> None:
        self._folder = folder
        self._looker = ThreadPoolExecutor(1, "look")
        self._bell = Bell()
        self._watch = Watch(self._hint)
        self._arrivals = Arrivals()
        self._looked_s, self._narrow, self._quiet = 0.0, True, False

    def open(self) -> None:
        """Begins to listen; what comes from now on is found at once. Raises OSError without the folder."""
        self._watch.follow(self._folder.path)

    def close(self) -> None:
        """Stops listening for hints."""
        self.let_go()
        self._watch.close()
        self._looker.shutdown(wait=False, cancel_futures=True)

    def let_go(self) -> None:
        """Nobody awaits the next look any more."""
        self._bell.close()

    def in_thread(self, what: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """In the one thread that looks: of a crowd that waits for work, each is woken for every piece of it."""
        return asyncio.get_running_loop().run_in_executor(self._looker, what, *arguments)

    def call(self) -> None:
        """Has the next look be made soon."""
        self._bell.ring()

    async def stand(self) -> None:
        """Stands on the folder as it is now, which may be another one than before; raises FolderError, OSError."""
        await self.in_thread(self._stand)

    async def first(self) -> list[Found]:
        """What is complete now; raises FolderError, OSError."""
        return await self.in_thread(self._look, self._complete)

    async def next(self) -> list[Found]:
        """Awaits a hint, or that the next look is due, and looks: what is complete, if anything is. Raises FolderError,
        OSError."""
        if self._bell.rung:
            await asyncio.sleep(max(REST, 2 * self._looked_s))
        return await self.in_thread(self._look, self._next)

    def overdue(self) -> list[bytes]:
        """Files that are held open and don't grow."""
        return self._arrivals.overdue(time.monotonic())

    # ── in threads ────────────────────────────────────────────────────────────────────────────────────────────

    def _hint(self, name: bytes | None, moved: bool) -> None:
        if not name or job_like(name):  # one that is written under a hidden name: to look now only makes the next late
            self._bell.ring(name, moved)

    def _stand(self) -> None:
        self._folder.check()
        self._folder.prepare()
        self._folder.hold()
        self._watch.follow(self._folder.path)

    def _pause(self) -> float:
        now = time.monotonic()
        due, pause = self._arrivals.due_s(now), beat.until(LOOK_EVERY, now, LOOK_OFF)
        return pause if due is None else min(pause, due)

    def _look(self, how: Callable[[], list[Found]]) -> list[Found]:
        """A look; where the folder has gone meanwhile it is that which is raised."""
        try:
            return how()
        except OSError:
            self._folder.check()
            raise

    def _next(self) -> list[Found]:
        while not self._bell.wait(self._pause()) and self._quiet:
            self._stand()
            self._quiet = self._folder.empty()
        return self._complete()

    def _complete(self) -> list[Found]:
        hinted, began = self._bell.take(), time.monotonic()
        try:
            return [] if self._bell.closed else self._see(hinted)
        except BaseException:
            self._bell.put_back(hinted)
            raise
        finally:
            self._looked_s = time.monotonic() - began

    def _see(self, hinted: Mapping[bytes, bool]) -> list[Found]:
        self._stand()
        found = {item.name: item for item in self._folder.look(LOOK_MOST if self._narrow else None)}
        self._folder.check()  # after the look: what was dropped once others could write is not taken
        self._quiet = not found
        now = time.monotonic()
        ripe = self._arrivals.look(((item.name, item.settled) for item in found.values()), hinted, now)
        whole = [
            found[name] for name in ripe
            if self._arrivals.whole(name, self._folder.closed(name) if found[name].plain else True, now)
        ]
        if self._narrow and len(found) == LOOK_MOST:  # there may be more, which were not looked at
            self._bell.put_back({name: hinted[name] for name in hinted if name not in found})
            self._bell.ring()
            self._narrow = bool(whole)
        else:
            self._narrow = True
        return whole
