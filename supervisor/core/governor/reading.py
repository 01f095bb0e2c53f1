"""What the governor is told once a period, and what it may know of the machine at all.

Units: CPU in cores, memory in bytes, time in seconds. A *kind* names the tasks that share a footprint (DESIGN calls
that a class): the same job name and command, today and next week.
"""

from __future__ import annotations

import msgspec


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the user says that one task of a kind needs; None is to be learned."""

    cpus: float | None = None
    memory: float | None = None


class Running(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task in a worker's hands, with all its descendants.

    `age` counts since its start without the time that it was stopped; `cpu` is in cores over the last period, `spent`
    the CPU seconds since its start; `progress` is 0…1 as the task reports it itself. `wanted` are the cores that it
    would use if it had not to wait for one, as far as the kernel tells, on a full machine; `awake` are the seconds that
    its threads ran or slept, by which that is known: the weight of it beside other tasks'.
    """

    task: str
    kind: str
    age: float
    cpu: float
    memory: float
    spent: float = 0.0
    progress: float | None = None
    stopped: bool = False
    wanted: float | None = None
    awake: float = 1.0


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tasks of one kind that ended by themselves since the last reading: how many, and their means.

    `busy` is the time-mean of busy workers over their lives, `peak` their mean memory peak, `largest` the largest. They
    are `telling` where what they cost may be compared with others: ranges may not while their pace is being learned;
    later their `wall` and `cpu` are those of one of the usual size, and `took` is what they really took, else 0.
    """

    kind: str
    count: int = 1
    wall: float
    cpu: float
    peak: float
    busy: float
    largest: float = 0.0
    telling: bool = True
    took: float = 0.0

    @property
    def seconds(self) -> float:
        """The mean seconds that each kept its worker."""
        return self.took or self.wall


class Waiting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A kind of which tasks wait for a worker, how many, and what the user claims for one.

    `raised` is what one is taken to need at least since one was killed for lack of memory.
    """

    kind: str
    count: int
    claim: Claim = Claim()
    raised: float = 0.0


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One look at the machine and at our tasks; means are over the period since the look before.

    - `at`: a steady clock; only differences count.
    - `cores`: those that we may use: the least of affinity, control group and machine; may be a fraction.
    - `cpu_total`, `cpu_ours`: used by everybody, and by us (ended children and the daemon included), of `cores`.
    - `cpu_nice`: what others use at a positive niceness: batch work like ours, an equal rather than a master.
    - `batch_users`: how many other users such work belongs to, at least.
    - `runnable`: threads that run or want to, None where that can't be known.
    - `memory_total`, `memory_available`: of the machine or of our control group, whichever has less left.
    - `pressure_*`: share of the period 0…1 in which some task waited for CPU, memory or disk (PSI), None without it.
    - `busy`: mean number of workers with a task that is not stopped. `running`: the tasks at this moment; tiny ones may
      be missing.
    - `relieved`: tasks that were ended since the last reading because memory ran short between two, and when.
    - `share`: of the machine that we may use at all now; less than 1 in polite hours, of which `polite` is the reason;
      0: nothing is started.
    - `reserve`: memory that is left free whatever happens, None for the usual.
    - `niced`: whether our tasks run at a positive niceness, so that usual work comes first by itself.
    - `fixed`: the limit that the user has set, None for the governor's own.
    - `chance`: a fresh random number 0…1, so that two governors on one machine don't move in step.
    """

    at: float
    cores: float
    cpu_total: float
    cpu_ours: float
    cpu_nice: float = 0.0
    batch_users: int = 0
    runnable: float | None = None
    memory_total: float
    memory_available: float
    pressure_cpu: float | None = None
    pressure_memory: float | None = None
    pressure_io: float | None = None
    busy: float = 0.0
    running: tuple[Running, ...] = ()
    ended: tuple[Ended, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    relieved: dict[str, float] = {}
    share: float = 1.0
    polite: str = ""
    reserve: float | None = None
    niced: bool = True
    fixed: int | None = None
    chance: float = 0.5
