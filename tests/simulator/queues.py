"""What waits of each kind of task, and the account of what ended since the last reading."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulator.rows import Floats, Row


@dataclass(slots=True)
class Queue:
    """What waits of one kind: items from `next` on of those that have arrived, and those that come `again`; `running`
    is how many run, `partly` the tasks done of a stream of tiny ones, with a fraction of the next."""

    arrived: int = 0
    next: int = 0
    again: list[int] = field(default_factory=list)
    raised: float = 0.0
    running: int = 0
    partly: float = 0.0

    @property
    def waiting(self) -> int:
        return self.arrived - self.next + len(self.again)

    def take(self, count: int) -> list[int]:
        items = self.again[:count]
        del self.again[:count]
        fresh = count - len(items)
        items.extend(range(self.next, self.next + fresh))
        self.next += fresh
        return items

    def pass_by(self, count: float) -> None:
        """So many tiny tasks are done."""
        self.partly += count
        self.next = min(int(self.partly), self.arrived)


@dataclass(slots=True)
class Past:
    """Sums over tasks of one kind; `peak` is the largest of what `peaks` adds up."""

    count: float = 0.0
    wall: float = 0.0
    cpu: float = 0.0
    peaks: float = 0.0
    peak: float = 0.0
    busy: float = 0.0

    def file(self, ended: Floats, wall: Floats, cpu: Floats, busy: Floats) -> None:
        """Tasks that ended: their columns, and for each the wall time, CPU time and mean of busy workers."""
        self.count += len(wall)
        self.wall += float(wall.sum())
        self.cpu += float(cpu.sum())
        self.peaks += float(ended[Row.PEAK].sum())
        self.peak = max(self.peak, float(ended[Row.PEAK].max()))
        self.busy += float(busy.sum())

    def file_stream(self, count: float, wall: float, cpu: float, peak: float, busy: float) -> None:
        """So many tiny tasks, each of this wall and CPU time."""
        self.count += count
        self.wall += count * wall
        self.cpu += count * cpu
        self.peaks += count * peak
        self.peak = max(self.peak, peak)
        self.busy += count * busy
