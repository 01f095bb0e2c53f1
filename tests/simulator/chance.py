"""Random scenarios, broadly: any kind of machine, tasks and neighbours. Seeds for tuning and for judging are apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.simulator.world import GB, MB, NICED, Hardware, Kind, Memory, Neighbour, Scenario

TUNING = range(10_000)
JUDGING = range(10_000, 20_000)


class Chance:
    """Draws of the kinds that a scenario is made of."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng((seed, 4711))

    def one_of(self, *values: float) -> float:
        return float(values[int(self._generator.integers(len(values)))])

    def even(self, low: float, high: float) -> float:
        return float(self._generator.uniform(low, high))

    def between(self, low: float, high: float) -> float:
        """Even in the logarithm."""
        return float(np.exp(self._generator.uniform(np.log(low), np.log(high))))

    def maybe(self, share: float) -> bool:
        return bool(self._generator.random() < share)


def draw(seed: int) -> Scenario:
    """The random scenario of this seed."""
    chance = Chance(seed)
    cores = chance.one_of(1, 2, 2, 4, 4, 8, 8, 8, 16, 16, 16, 24, 32, 32, 48, 64, 96, 128)
    hardware = _hardware(cores, chance)
    count = int(chance.one_of(1, 1, 1, 1, 2, 2, 3))
    kinds = tuple(_kind(number, hardware, chance) for number in range(count))
    if any(kind.disk for kind in kinds):
        hardware = replace(hardware, disk=cores * chance.between(1, 20))
    duration = float(round(np.clip(6 * max(kind.wall for kind in kinds), 600, 2400)))
    neighbours: tuple[Neighbour, ...] = ()
    marks: tuple[float, ...] = ()
    if chance.maybe(0.35):
        marks = (round(duration / 3), round(2 * duration / 3))
        neighbours = (_neighbour(*marks, hardware, chance),)
    weight = 1.0 if chance.maybe(0.5) else NICED
    return Scenario(f"random:{seed}", hardware, kinds, duration, neighbours, marks, weight, seed=seed)


def _hardware(cores: float, chance: Chance) -> Hardware:
    memory = max(cores * chance.one_of(1, 2, 2, 4, 4, 4, 8) * GB, 2 * GB)
    hardware = Hardware(
        cores, memory, system=chance.even(0.02, 0.1), psi=chance.maybe(0.8), procs=chance.maybe(0.9),
        physical=cores / 2 if cores > 1 and chance.maybe(0.1) else None,
    )
    if cores < 8 or not chance.maybe(0.25):
        return hardware
    match int(chance.one_of(0, 1, 2, 3)):  # contention that CPU use does not show
        case 0:
            return replace(hardware, bandwidth=cores * chance.even(0.4, 1.0))
        case 1:
            return replace(hardware, sigma=chance.between(0.0005, 0.01))
        case 2:
            return replace(hardware, kappa=1 / (cores * chance.even(0.5, 1.5)) ** 2)
    return replace(hardware, cliff=cores * chance.even(0.5, 1.2), steepness=chance.even(1.2, 3))


def _kind(number: int, hardware: Hardware, chance: Chance) -> Kind:
    wall = chance.between(0.4, 400) if chance.maybe(0.92) else chance.between(0.02, 0.2)
    sort = chance.even(0, 1)
    share = 1.0 if sort < 0.4 else chance.between(0.3, 1.0) if sort < 0.8 else chance.between(0.02, 0.3)
    many = share > 0.5 and hardware.cores >= 8 and chance.maybe(0.15)
    threads = int(chance.one_of(2, 4, 8)) if many else 1
    usual = hardware.memory * share * threads / max(hardware.cores, share * threads)  # CPU and memory end together
    # Some hundreds of workers are the most that memory lets anybody have, so that runs stay short.
    peak = float(np.clip(usual * chance.between(0.02, 3), max(8 * MB, hardware.memory / 700), 0.4 * hardware.memory))
    peak = min(peak, max(20 * MB, 0.5 * GB * wall))  # touching memory takes time
    creeping = chance.maybe(0.25)
    memory = Memory(
        peak=peak, spread=chance.between(0.01, 0.2), floor=chance.even(0.05, 0.4), ramp=chance.between(0.01, 0.5),
        creep=chance.even(0.2, 0.6) if creeping else 0.0,
        spike=chance.even(0.1, 0.4) if not creeping and chance.maybe(0.1) else 0.0,
    )
    return Kind(
        f"kind{number}", wall, memory, sigma=chance.between(0.02, 0.5), share=share, threads=threads,
        cycle=chance.between(0.6, min(10.0, max(1.0, wall))), disk=share < 0.7 and chance.maybe(0.3),
        load=min(chance.between(0.5, 20), 0.3 * wall) if wall > 3 and chance.maybe(0.3) else 0.0,
        load_share=chance.even(0.2, 1), bandwidth=chance.even(0.3, 1) if hardware.bandwidth is not None else 0.0,
        bound=chance.even(0.5, 1), reports=wall > 30 and chance.maybe(0.4),
        claim=None if chance.maybe(0.9) else 1.1 * peak,
    )


def _neighbour(begin: float, end: float, hardware: Hardware, chance: Chance) -> Neighbour:
    bursts = chance.maybe(0.2)
    return Neighbour(
        begin, end,
        threads=hardware.cores * chance.even(0.1, 0.8) if chance.maybe(0.75) else 0.5,
        memory=hardware.memory * chance.even(0.1, 0.5) if chance.maybe(0.4) else 0.0,
        ramp=chance.between(3, 60), niced=chance.maybe(0.2),
        on=chance.between(3, 60) if bursts else None, off=chance.between(3, 60),
    )
