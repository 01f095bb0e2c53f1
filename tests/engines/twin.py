"""An engine in memory: takes chunks as Slurm would, and writes what its nodes would have written."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gristmill.supervisor.core.remote import Ended, Glimpse
from gristmill.supervisor.executors import Capacity, Chunk


@dataclass
class Array:
    """A chunk that it has: slots that wait, and those that run, with their host."""

    chunk: Chunk
    queued: set[int]
    running: dict[int, str] = field(default_factory=dict)


class Twin:
    """So many nodes with so many cores."""

    name = "slurm"
    rest_s = 5.0
    grace_s = 5.0
    start_s = 1.0

    def __init__(self, nodes: int, cpus: int) -> None:
        self.nodes, self.cpus = nodes, cpus
        self.arrays: dict[str, Array] = {}
        self._numbers = itertools.count(1)
        self.polls = 0

    async def capacity(self) -> Capacity:
        return Capacity(self.nodes, self.nodes * self.cpus, None, 10_000)

    async def submit(self, chunk: Chunk) -> str:
        number = str(next(self._numbers))
        self.arrays[number] = Array(chunk, set(range(chunk.slots)))
        return number

    async def poll(self, chunks: Mapping[str, str]) -> dict[str, Glimpse]:
        self.polls += 1
        there = {name: self.arrays[number] for name, number in chunks.items() if number in self.arrays}
        return {name: Glimpse(frozenset(one.queued), dict(one.running), "Resources") for name, one in there.items()}

    async def cancel(self, engine_id: str, slots: Collection[int] | None) -> bool:
        one = self.arrays.get(engine_id)
        if one is not None:
            for slot in list(one.queued | one.running.keys()) if slots is None else slots:
                one.queued.discard(slot)
                one.running.pop(slot, None)
        return True

    async def adopt(self, labels: Collection[str]) -> dict[str, str]:
        return {one.chunk.label: number for number, one in self.arrays.items() if one.chunk.label in labels}

    async def explain(self, engine_id: str, slots: Collection[int]) -> dict[int, Ended]:
        return {}

    def called(self, engine_id: str, slot: int) -> str:
        return f"{engine_id}_{slot}"

    async def close(self) -> None:
        """Nothing is open."""

    # ── what happens on the nodes ─────────────────────────────────────────────────────────────────────────────

    def begin(self, most: int | None = None) -> int:
        """Starts what waits, as far as there are cores, and `most` slots; how many."""
        room = self.nodes * self.cpus - sum(len(one.running) for one in self.arrays.values())
        room = room if most is None else min(room, most)
        begun = 0
        for one in self.arrays.values():
            for slot in sorted(one.queued)[: room - begun]:
                one.queued.discard(slot)
                one.running[slot] = f"n{slot % self.nodes}"
                for index in range(slot * one.chunk.pack, (slot + 1) * one.chunk.pack):
                    claim = {"host": one.running[slot], "id": "", "pid": 1}
                    (one.chunk.folder / "rec" / f"{index}.claim").write_text(json.dumps(claim))
                begun += 1
        return begun

    def finish(self, most: int | None = None) -> int:
        """Ends slots that run, well, `most` of them; how many tasks that was."""
        ended = 0
        for number, one in list(self.arrays.items()):
            orders = (one.chunk.folder / "tasks").read_bytes().splitlines() if one.running else []
            for slot in sorted(one.running)[: None if most is None else max(0, most - ended)]:
                host = one.running.pop(slot)
                for index in range(slot * one.chunk.pack, min(len(orders), (slot + 1) * one.chunk.pack)):
                    record = {"v": 1, "e": json.loads(orders[index])["do"], "code": 0, "signal": None, "why": None,
                              "t0": 0.0, "t": 60.0, "wall": 60.0, "cpu": 59.0, "rss": 1 << 20, "host": host,
                              "id": f"{number}_{slot}"}  # fmt: skip
                    path = one.chunk.folder / "rec" / f"{index}.json"
                    path.with_suffix(".part").write_text(json.dumps(record))
                    path.with_suffix(".part").rename(path)
                    ended += 1
            if not one.queued and not one.running:
                del self.arrays[number]
        return ended
