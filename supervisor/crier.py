"""Lets everybody on the machine know how much of it we use, where the setting `public` allows that (`grist who`)."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from gristmill.supervisor import beat
from gristmill.supervisor.core import placard
from gristmill.supervisor.core.conditions import Conditions, Kind
from gristmill.supervisor.core.digest import sha256
from gristmill.supervisor.core.placard import Placard
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.edge.board import Board
from gristmill.supervisor.feed import Feed
from gristmill.supervisor.ledger import Ledger

LOOK_S = 5.0
RENEW_S = 30.0
"""An unchanged card is written again after so long, so that others see that we live."""


class Crier:
    """Our card on the board."""

    def __init__(
        self, ledger: Ledger, feed: Feed, board: Board, state: Path, settings: Callable[[], Settings],
        conditions: Conditions,
    ) -> None:
        self._ledger, self._feed, self._board, self._settings = ledger, feed, board, settings
        self._conditions = conditions
        self._name = sha256(os.fsencode(os.path.realpath(state)))[:10] + ".json"
        self._shown: Placard | None = None

    async def run(self) -> None:
        """Renews it for as long as the daemon lives and the settings allow it."""
        while True:
            await self._look()
            await asyncio.sleep(beat.pause(LOOK_S))

    async def _look(self) -> None:
        if not self._settings().public:
            if self._shown is not None:
                await asyncio.to_thread(self._withdraw)
            self._conditions.clear(Kind.WHO)
            return
        now = time.time()
        made = self._card(now)
        if self._shown is not None and _same(made, self._shown) and now - self._shown.time < RENEW_S:
            return
        try:
            await asyncio.to_thread(self._board.publish, self._name, placard.encode(made))
        except OSError as error:
            self._conditions.set(Kind.WHO, f"who: our figures can't be shown to others: {error}", holds=False)
            return
        self._shown = made
        self._conditions.clear(Kind.WHO)

    def _card(self, now: float) -> Placard:
        jobs = self._ledger.jobs.values()
        left = sum(job.spec.items.total - job.items_done - job.items_failed for job in jobs)
        work, nice = (len(jobs) + len(self._ledger.loft), max(0, left)), self._settings().nice
        return placard.make(self._feed.daemon(), self._feed.limit, self._feed.machine, work, nice, now)

    def close(self) -> None:
        """Takes it away for good."""
        self._settings = Settings
        self._withdraw()

    def _withdraw(self) -> None:
        if self._shown is not None:
            self._board.withdraw(self._name)
            self._shown = None


def _same(one: Placard, other: Placard) -> bool:
    """Whether nothing has changed that anybody would look up for."""
    return (one.workers, one.busy, one.jobs) == (other.workers, other.busy, other.jobs)
