"""What a look at the machine tells: values alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tree:
    """All below one worker: CPU in cores over the last period, memory of its task in bytes now.

    Both count what several processes share once. `spent` are the CPU seconds, ended processes included, since the
    sampler first saw the root; it never falls. `wanted` are the cores that it would use if it had not to wait for one,
    told now and then while the machine is full, None else and where it can't be known; `awake` the seconds that its
    threads ran or slept, by which that is known: the rest they waited.
    """

    cpu: float
    memory_bytes: int
    spent: float
    wanted: float | None = None
    awake: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The machine between the last look and this one. CPU in cores, memory and disk in bytes.

    - `cores`: those that we may use; `cpu_total` is what is used of *those*, by whomever: of the whole machine, of the
      CPUs of our affinity, or of the group that has the CPU quota. What a hypervisor takes away counts as used.
    - `cpu_nice`: user time of others at a positive niceness; `batch_users` how many other users it belongs to, at
      least. Another daemon of our own user counts as one more.
    - `runnable`: threads of the machine that run or want to, without the one that reads; None where we may not use
      all of it.
    - `memory_total`, `memory_available`: of the machine or of the group on our way up that has the least left. Swap is
      no memory here.
    - `pressure_*`: share of the period 0…1 in which some task waited; None without PSI.
    """

    cores: float
    cpu_total: float
    cpu_ours: float
    memory_total: int
    memory_available: int
    memory_ours: int
    load_1m: float
    disk_free: int
    disk_total: int
    trees: dict[int, Tree]
    cpu_nice: float = 0.0
    batch_users: int = 0
    runnable: int | None = None
    pressure_cpu: float | None = None
    pressure_memory: float | None = None
    pressure_io: float | None = None
