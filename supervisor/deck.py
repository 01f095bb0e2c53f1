"""Keeps watch over the cards while somebody needs them: a job that claims some, or a screen that shows them.

Looks once a second, in a thread: a card that hangs holds up nobody but those who wait for cards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable

from gristmill.supervisor import beat
from gristmill.supervisor.core.cards import Card, Cards, words
from gristmill.supervisor.core.conditions import Conditions, Kind
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.edge.gpus import Gpus, NoCardsError
from gristmill.supervisor.ledger import Ledger

LOOK_S = 1.0
AGAIN_S = 5.0
"""Where there was none to be seen: so long until the next look."""
SHOWN_S = 10.0
"""For so long after somebody has asked they are looked at."""


class Deck:
    """The cards as they were last seen."""

    def __init__(
        self, ledger: Ledger, conditions: Conditions, settings: Callable[[], Settings],
        ours: Callable[[], Collection[int]], clock: Callable[[], float],
    ) -> None:
        """`ours` are the pids of our workers; `clock` only ever grows."""
        self._ledger, self._conditions, self._settings, self._ours = ledger, conditions, settings, ours
        self._clock = clock
        self._gpus = Gpus()
        self._cards: tuple[Card, ...] = ()
        self._unseen = "the cards are being looked at"
        self._asked = -SHOWN_S

    async def run(self) -> None:
        """Looks for as long as the daemon lives."""
        while True:
            self._ledger.cards.clear()
            if not self._wanted():  # nobody is woken
                await self._ledger.cards.wait()
            await self.look()
            await asyncio.sleep(beat.pause(LOOK_S if self._cards else AGAIN_S))

    async def look(self) -> None:
        """One look."""
        ours = frozenset(self._ours())
        try:
            self._cards, self._unseen = await asyncio.to_thread(self._gpus.look, ours), ""
        except NoCardsError as error:
            self._cards, self._unseen = (), str(error)
        faults = [words(card) for card in self._cards if card.fault]
        self._conditions.put(Kind.GPU, f"gpu: {'; '.join(faults)}" if faults else "", holds=False)
        self._ledger.work.set()

    def cards(self, jobs: Iterable[Job]) -> Cards:
        """What may be used of them, with what the live tasks of `jobs` have."""
        settings = self._settings()
        chosen = tuple(card for card in self._cards if _chosen(card, settings.gpus))
        unseen = self._unseen or "the settings leave no card to us"
        made = Cards(chosen, {}, settings.gpus_shared, unseen)
        for job in jobs:
            if job.spec.resources.cards:
                for task in job.live.values():
                    made.claim(filter(None, task.gpus.split(",")), job.spec.resources.gpu_memory_bytes)
        return made

    def lines(self) -> list[str]:
        """The cards in words, for a screen; asking keeps them looked at."""
        self._asked = self._clock()
        self._ledger.cards.set()
        return [words(card) for card in self._cards]

    def _wanted(self) -> bool:
        jobs = self._ledger.jobs.values()
        return self._clock() < self._asked + SHOWN_S or any(job.spec.resources.cards for job in jobs)


def _chosen(card: Card, asked: tuple[int | str, ...] | None) -> bool:
    """Whether the settings leave a card to us."""
    return asked is None or card.index in asked or card.uuid in asked
