"""Which GPU a task gets: whole cards, or a part of a card's memory beside other tasks.

Cards are known by the name that the driver gives them for good (UUID), in the order of their places on the bus. One on
which other people's processes run is left alone. Pure: what the cards are like is read by `edge.gpus`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from gristmill.supervisor.core.figures import spoken
from gristmill.supervisor.core.spec import Resources

SPARE = 0.02
"""Of a card's memory so much is the driver's own: a claim of all of it fits all the same."""


class Card(msgspec.Struct, frozen=True):
    """A card, or a part of one that the driver shows as a card (MIG), at one moment.

    `strangers` counts processes on it that are not ours, `guests` those of them that are another user's. They hold
    `strangers_bytes`, ours `ours_bytes`. `fault` says why it can't be used at all.
    """

    uuid: str
    index: int
    name: str = ""
    total_bytes: int = 0
    ours_bytes: int = 0
    strangers_bytes: int = 0
    strangers: int = 0
    guests: int = 0
    fault: str = ""


@dataclass(slots=True)
class Cards:
    """The cards of this machine, and what our tasks claim of each until the next reading.

    `claims` has by card the bytes that each of our tasks on it claims, None for all of it. With `shared` other
    processes are no obstacle; without, no task has a card whole beside them, nor a part of one that another user is on.
    `unseen` says why there are no cards.
    """

    cards: tuple[Card, ...] = ()
    claims: dict[str, list[int | None]] = field(default_factory=dict)
    shared: bool = False
    unseen: str = "no card is seen here"

    def lack(self, wants: Resources) -> str:
        """Why a task with these claims gets no cards now, "" when it does."""
        return "" if self.place(wants) else self._words(wants)

    def place(self, wants: Resources) -> tuple[str, ...]:
        """The cards that a task with these claims would get, () when there are none for it.

        Whole cards in their order; for a part of one the card with most memory left, so that tasks spread out.
        """
        need = wants.gpu_memory_bytes
        if need is None:
            free = [card.uuid for card in self.cards if self._empty(card)]
        else:
            rooms = [(room, card) for card in self.cards if (room := self._free(card)) is not None]
            fitting = [(-room, card.index, card) for room, card in rooms if need <= room + SPARE * card.total_bytes]
            free = [card.uuid for _, _, card in sorted(fitting)]
        return tuple(free[: wants.cards]) if len(free) >= wants.cards else ()

    def take(self, wants: Resources) -> tuple[str, ...]:
        """The same, and they are claimed from now on."""
        found = self.place(wants)
        self.claim(found, wants.gpu_memory_bytes)
        return found

    def claim(self, uuids: Iterable[str], memory_bytes: int | None) -> None:
        """A task has these cards: so much of the memory of each, None for all."""
        for uuid in uuids:
            self.claims.setdefault(uuid, []).append(memory_bytes)

    def could(self, wants: Resources) -> bool:
        """Whether it would get some if none of our tasks had any."""
        return bool(Cards(self.cards, {}, self.shared).place(wants))

    def _empty(self, card: Card) -> bool:
        """Whether a card can be had whole."""
        return not (card.fault or self.claims.get(card.uuid) or (card.strangers and not self.shared))

    def _free(self, card: Card) -> int | None:
        """Bytes that tasks may still claim of a card, None where none may be started on it."""
        claims = self.claims.get(card.uuid, [])
        if card.fault or None in claims or (card.guests and not self.shared):
            return None
        return card.total_bytes - card.strangers_bytes - max(card.ours_bytes, sum(one or 0 for one in claims))

    def _words(self, wants: Resources) -> str:
        if not self.cards:
            return f"gpu: {self.unseen}"
        sound = [card for card in self.cards if not card.fault]
        cards = "a card" if wants.cards == 1 else f"{wants.cards} cards"
        if wants.cards > len(sound):
            return f"gpu: a task needs {cards}, this machine has {len(sound)}"
        guests = 0 if self.shared else sum(card.guests > 0 for card in sound)
        others = f", {guests} used by other people" if guests else ""
        if wants.gpu_memory_bytes is None:
            free = sum(map(self._empty, sound))
            return f"gpu: a task needs {cards}, {free} of {len(sound)} are free{others}"
        most = max((room for card in sound if (room := self._free(card)) is not None), default=0)
        need = spoken(wants.gpu_memory_bytes)
        return f"gpu: a task needs {need} on {cards}, {spoken(max(0, most))} are free on the emptiest{others}"


def words(card: Card) -> str:
    """A card in a line: `0 NVIDIA A100, 12 of 40 GB used, 2 processes of others`."""
    if card.fault:
        return f"{card.index} {card.name or card.uuid}: {card.fault}"
    used = card.ours_bytes + card.strangers_bytes
    others = f", {card.strangers} processes of others" if card.strangers > 1 else ", 1 process of others"
    return (
        f"{card.index} {card.name}, {spoken(used)} of {spoken(card.total_bytes)} used"
        f"{others if card.strangers else ''}"
    )
