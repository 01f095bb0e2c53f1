"""What a task used over its life: CPU and memory second by second, in bounded room.

When the room is full, two points become one: the mean of their CPU, the higher of their memory. So a life of any length
is told in 60 to 120 points. Pure; times are seconds since the epoch.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterable

from gristmill.supervisor.core.answers import LifeView

POINTS = 120
EARLY_S = 0.3
"""A look may come so much before its second is over."""
KEPT = 300
"""Ended tasks whose lives are remembered."""


class Life:
    """One attempt, from when it was first seen."""

    def __init__(self, now: float) -> None:
        self.began, self.step = now, 1.0
        self.cpu, self.memory = array("f"), array("d")
        self._sum, self._most, self._count = 0.0, 0.0, 0

    def see(self, now: float, cpu: float, memory: float) -> None:
        """A look at it: cores in use since the last one, bytes now. A silence is told as what came after it."""
        self._sum, self._most, self._count = self._sum + cpu, max(self._most, memory), self._count + 1
        told = False
        while (due := int((now - self.began + EARLY_S) // self.step) - len(self.cpu)) > 0:
            room = min(due, POINTS - len(self.cpu))
            self.cpu.extend([self._sum / self._count] * room)
            self.memory.extend([self._most] * room)
            told = True
            if len(self.cpu) >= POINTS:
                self._halve()
        if told:
            self._sum, self._most, self._count = 0.0, 0.0, 0

    def _halve(self) -> None:
        pairs = range(0, len(self.cpu) - 1, 2)
        self.cpu = array("f", [(self.cpu[at] + self.cpu[at + 1]) / 2 for at in pairs])
        self.memory = array("d", [max(self.memory[at], self.memory[at + 1]) for at in pairs])
        self.step *= 2

    def view(self) -> LifeView:
        """As it travels."""
        return LifeView(began_at=self.began, step_s=self.step, cpu=[round(value, 2) for value in self.cpu],
                        memory_bytes=[int(value) for value in self.memory])  # fmt: skip


class Lives:
    """The lives of what runs, and of the last that ended, by the key of the attempt."""

    def __init__(self) -> None:
        self._running: dict[str, Life] = {}
        self._ended: OrderedDict[str, Life] = OrderedDict()

    def see(self, now: float, running: Iterable[tuple[str, float, float]]) -> None:
        """(key, cores, bytes) of all that runs now; who is missing has ended."""
        seen: dict[str, Life] = {}
        for key, cpu, memory in running:
            life = seen[key] = self._running.get(key) or self._ended.pop(key, None) or Life(now)
            life.see(now, cpu, memory)
        for key, life in self._running.items():
            if key not in seen:
                self._ended[key] = life
        while len(self._ended) > KEPT:
            self._ended.popitem(last=False)
        self._running = seen

    def of(self, key: str) -> LifeView | None:
        """One of them; None where it was never seen, or is forgotten."""
        life = self._running.get(key) or self._ended.get(key)
        return life.view() if life is not None else None
