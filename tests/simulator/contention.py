"""How tasks slow each other down: shares of CPU by weight, second threads, caches, bandwidth, coherency, cliffs."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulator.world import Hardware

SWITCHING = 0.02
"""How much slower a running task is for each of up to three others that share its core: caches go cold."""


def grants(cores: float, classes: Sequence[tuple[float, float]]) -> list[float]:
    """What each thread of a class gets of a core, by (weight, threads) of the classes: all its want, or by weight."""
    granted = [1.0] * len(classes)
    if sum(threads for _, threads in classes) <= cores:
        return granted
    left, total = cores, sum(weight * threads for weight, threads in classes)
    for number in sorted(range(len(classes)), key=lambda number: -classes[number][0]):
        weight, threads = classes[number]
        if weight * left >= total:  # a whole core each, and the rest for those of less weight
            left -= threads
            total -= weight * threads
        else:
            granted[number] = weight * left / total
    return granted


def met(cores: float, threads: float, weight: float) -> float:
    """What a thread of somebody else loses to one of ours of this weight on the same core: run queues are per core, and
    the balancer parts the two only after a while."""
    return min(1.0, max(0.0, threads - cores) / cores) * weight / (1 + weight)


def slowdown(hardware: Hardware, threads: float, tasks: int, bandwidth: float) -> float:
    """How many times longer running takes, for a task that is bound by what is contended."""
    slow = 1 + (hardware.sigma + hardware.kappa * tasks) * max(0, tasks - 1)
    if threads > hardware.cores:
        slow *= 1 + SWITCHING * min(3.0, threads / hardware.cores - 1)
    if hardware.cliff is not None and tasks > hardware.cliff:
        slow *= float((tasks / hardware.cliff) ** hardware.steepness)
    if hardware.bandwidth is not None and bandwidth > 0:
        slow *= float((1 + (bandwidth / hardware.bandwidth) ** 8) ** 0.125)
    return slow


def worth(hardware: Hardware, used: float) -> float:
    """What a second of CPU is worth when so many threads run: second threads of a core do a third."""
    if hardware.physical is None or used <= hardware.physical:
        return 1.0
    return (hardware.physical + (used - hardware.physical) / 3) / used
