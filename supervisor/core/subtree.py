"""The control groups (v2) that we make: which part of the tree is ours to divide, and what binds a task there.

Pure. The part that was given to us (delegated) has a leaf for the daemon and one for each worker, in which its tasks
are born: the kernel allows no processes in a group that hands controllers down (cgroups(7), "no internal processes").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gristmill.supervisor.core.spec import Spec

LEAF = "daemon"
"""The daemon's own leaf; `DelegateSubgroup=` of the unit file names it as well."""
CONTROLLERS = ("memory", "cpu")
DAEMON_WEIGHT = 1000
"""Against 100 of a task with one core at the usual niceness: what decides is not to wait for what works."""
WORKER_BYTES = 8 << 20
"""What a worker itself may take of its leaf beside its task, a generous bound."""
UNBOUND = {"memory.max": "max", "memory.swap.max": "max", "cpu.weight": "100"}
"""What a fresh leaf has."""


@dataclass(frozen=True, slots=True)
class Home:
    """The group that is ours to divide, by its path; with `moves` the daemon is in it and has to go into its leaf."""

    path: str
    moves: bool


def home(path: str) -> Home | str:
    """The group that a daemon may divide which was started in group `path`, or why there is none.

    A service whose unit file names no leaf is left as it is: systemd starts the next daemon in the unit's own group,
    which the kernel would refuse once that is divided, as long as tasks of the last daemon live.
    """
    above, _, name = path.rstrip("/").rpartition("/")
    if not name or (not above and name == LEAF):
        return "it is the top of all groups"
    if name == LEAF:
        return Home(above, moves=False)
    if name.endswith(".service"):
        return "the service has no group of its own for the daemon: that takes systemd 254, DelegateSubgroup=daemon"
    if name.endswith(".slice"):
        return "it is a slice of systemd's"
    return Home(path, moves=True)


def weight(cpus: float | None, nice: int) -> int:
    """`cpu.weight`, 1 to 10,000: 100 for each claimed core (one, where none is) at niceness 10, and a fourth more or
    less for each step of it, as the scheduler has it (sched_prio_to_weight)."""
    return max(1, min(10_000, round(100 * (cpus or 1) * 1.25 ** (10 - nice))))


def bounds(spec: Spec, nice: int, *, finish: bool = False) -> dict[str, str]:
    """What the files of a worker's leaf say while tasks of a job run in it. A [finally] step has no claims."""
    claims = None if finish else spec.resources.memory_bytes
    cpus = None if finish else spec.resources.cpus
    return {**UNBOUND, **({} if claims is None else memory(claims)), "cpu.weight": str(weight(cpus, nice))}


def memory(claim: float) -> dict[str, str]:
    """The bound of a claim in bytes. As much again may be swapped out: a stopped task gives its memory up that way."""
    most = str(int(claim) + WORKER_BYTES)
    return {"memory.max": most, "memory.swap.max": most}
