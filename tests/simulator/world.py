"""What a simulated world is made of: hardware, kinds of tasks, neighbours. Values only: nothing happens here.

Units: CPU in cores, memory in bytes, time in seconds. A task's *work* is the seconds that it takes with the machine to
itself; contention makes those seconds longer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

GB = 1e9
MB = 1e6
NICED = 1 / 9.3
"""The kernel's weight of a thread at nice 10, beside 1 at nice 0."""
ENDLESS = 10**9


@dataclass(frozen=True, slots=True)
class Memory:
    """What a task holds over its life: `floor` of its peak at once, the rest by `ramp` of its life, but for `creep`,
    which comes evenly over all of it, and `spike`, which comes in its last tenth. Peaks spread from task to task."""

    peak: float
    spread: float = 0.03
    floor: float = 0.3
    ramp: float = 0.05
    creep: float = 0.0
    spike: float = 0.0


@dataclass(frozen=True, slots=True)
class Kind:
    """Tasks of one footprint.

    - `wall`, `sigma`: median and log-spread of the work.
    - `share`, `cycle`: runs for `share` of each cycle on `threads` threads, waits for the rest; `disk`: for the disk.
    - `load`: the first seconds, on one thread for `load_share`, the rest in the disk's hands.
    - `bandwidth`: what a running thread takes of the machine's, in threads; `bound`: how far contention slows it.
    - `arrivals`: (time, tasks) as they are handed in. `combos`: factors of (work, memory) item by item, over again.
    - `tail`: (item, factor): from that item on, so many times the memory.
    - `pool`: whose it is, where two governors share a machine. `weight`: of its work, where the kinds beside it are not
      to be asked.
    """

    name: str
    wall: float
    memory: Memory
    sigma: float = 0.1
    share: float = 1.0
    threads: int = 1
    cycle: float = 2.0
    disk: bool = False
    load: float = 0.0
    load_share: float = 1.0
    bandwidth: float = 0.0
    bound: float = 1.0
    reports: bool = False
    arrivals: tuple[tuple[float, int], ...] = ((0.0, ENDLESS),)
    combos: tuple[tuple[float, float], ...] = ()
    tail: tuple[int, float] | None = None
    pool: int = 0
    claim: float | None = None
    weight: float | None = None

    @property
    def tiny(self) -> bool:
        """Too short to be followed one by one: a worker's stream of them is."""
        return self.wall < 0.3


@dataclass(frozen=True, slots=True)
class Hardware:
    """- `system`: share of memory that is always taken.
    - `bandwidth`: threads' worth of memory bandwidth. `sigma`, `kappa`: contention and coherency (Gunther's law).
    - `cliff`, `steepness`: above so many tasks each is slowed by (tasks/cliff) ** steepness.
    - `disk`: tasks that the disk serves at full speed at once.
    - `physical`: cores whose second threads the others are, worth a third each.
    - `psi`, `procs`: whether pressures and the number of runnable threads can be read.
    """

    cores: float
    memory: float
    system: float = 0.04
    bandwidth: float | None = None
    sigma: float = 0.0
    kappa: float = 0.0
    cliff: float | None = None
    steepness: float = 2.5
    disk: float | None = None
    physical: float | None = None
    psi: bool = True
    procs: bool = True


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Somebody else's load from `begin` to `end`: `threads` that want to run (`on`, `off`: in bursts of such mean
    lengths), and memory that comes, and goes, within `ramp` seconds."""

    begin: float
    end: float
    threads: float = 0.0
    memory: float = 0.0
    ramp: float = 10.0
    niced: bool = False
    on: float | None = None
    off: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """- `marks`: where the load changes: segments are judged one by one. `weight`: of our threads (`NICED` or 1).
    - `stalls`: (begin, end) in which the disk hardly answers.
    - `whole`: the load changes with the items, not with time: the yardstick is one constant for the whole run.
    - `best_near`: what the yardstick was said to be where the scenario comes from.
    """

    name: str
    hardware: Hardware
    kinds: tuple[Kind, ...]
    duration: float
    neighbours: tuple[Neighbour, ...] = ()
    marks: tuple[float, ...] = ()
    weight: float = 1.0
    stalls: tuple[tuple[float, float], ...] = ()
    whole: bool = False
    seed: int = 0
    best_near: int | None = None

    @property
    def segments(self) -> tuple[tuple[float, float], ...]:
        edges = (0.0, *self.marks, self.duration)
        return tuple(pairwise(edges))

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """What a second of each kind's work is worth: the share of the machine that it takes, of whatever it takes
        most of, beside the dearest kind's. Else a governor would do best to run only what is cheap."""
        costs = [
            max(kind.share * kind.threads / self.hardware.cores, kind.memory.peak / self.hardware.memory)
            for kind in self.kinds
        ]
        return tuple(
            cost / max(costs) if kind.weight is None else kind.weight
            for kind, cost in zip(self.kinds, costs, strict=True)
        )

    @property
    def pools(self) -> int:
        return 1 + max(kind.pool for kind in self.kinds)

    @property
    def longest(self) -> float:
        return max(kind.wall for kind in self.kinds)

    def held(self, segment: tuple[float, float], duration: float) -> Scenario:
        """The world as it is in one segment, held for so long, with work without end."""
        begin, end = segment
        near = tuple(
            replace(one, begin=-1e6, end=1e9) for one in self.neighbours if one.begin < end and one.end > begin
        )
        kinds = tuple(
            replace(kind, arrivals=((0.0, ENDLESS),), weight=weight)
            for kind, weight in zip(self.kinds, self.weights, strict=True) if kind.arrivals[0][0] < end
        )
        return replace(self, neighbours=near, kinds=kinds, duration=duration, marks=())
