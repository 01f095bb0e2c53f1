"""Random scenarios, broadly: any kind of machine, tasks and neighbours. Seeds for tuning and for judging are apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.simulator.world import GB, MB, NICED, Hardware, Kind, Memory, Neighbour, Scenario

TUNING = range(10_000)
JUDGING = range(10_000, 20_000)


def draw(seed: int) -> Scenario:
    """The random scenario of this seed."""
    chance = np.random.default_rng((seed, 4711))

    def one_of(*values: float) -> float:
        return float(values[int(chance.integers(len(values)))])

    def between(low: float, high: float) -> float:
        """Even in the logarithm."""
        return float(np.exp(chance.uniform(np.log(low), np.log(high))))

    def maybe(share: float) -> bool:
        return bool(chance.random() < share)

    cores = one_of(1, 2, 2, 4, 4, 8, 8, 8, 16, 16, 16, 24, 32, 32, 48, 64, 96, 128)
    memory = cores * one_of(1, 2, 2, 4, 4, 4, 8) * GB
    memory = max(memory, 2 * GB)
    hardware = Hardware(cores, memory, system=float(chance.uniform(0.02, 0.1)), psi=maybe(0.8), procs=maybe(0.9))
    if cores >= 8 and maybe(0.25):  # contention that CPU use does not show
        match int(chance.integers(4)):
            case 0:
                hardware = replace(hardware, bandwidth=cores * float(chance.uniform(0.4, 1.0)))
            case 1:
                hardware = replace(hardware, sigma=between(0.0005, 0.01))
            case 2:
                hardware = replace(hardware, kappa=1 / (cores * float(chance.uniform(0.5, 1.5))) ** 2)
            case _:
                hardware = replace(hardware, cliff=cores * float(chance.uniform(0.5, 1.2)),
                                   steepness=float(chance.uniform(1.2, 3)))
    if maybe(0.1):
        hardware = replace(hardware, physical=cores / 2)
    kinds = tuple(_kind(number, hardware, chance, between, maybe, one_of) for number in range(int(one_of(1, 1, 1, 1, 2, 2, 3))))
    if any(kind.disk for kind in kinds):
        hardware = replace(hardware, disk=cores * between(1, 20))
    longest = max(kind.wall for kind in kinds)
    duration = float(round(np.clip(6 * longest, 600, 2400)))
    neighbours: tuple[Neighbour, ...] = ()
    marks: tuple[float, ...] = ()
    if maybe(0.35):
        begin, end = round(duration / 3), round(2 * duration / 3)
        bursts = maybe(0.2)
        neighbours = (Neighbour(
            begin, end,
            threads=cores * float(chance.uniform(0.1, 0.8)) if maybe(0.75) else 0.5,
            memory=memory * float(chance.uniform(0.1, 0.5)) if maybe(0.4) else 0.0,
            ramp=between(3, 60), niced=maybe(0.2),
            on=between(3, 60) if bursts else None, off=between(3, 60),
        ),)
        marks = (begin, end)
    return Scenario(
        f"random:{seed}", hardware, kinds, duration, neighbours, marks, weight=1.0 if maybe(0.5) else NICED, seed=seed,
    )


def _kind(number, hardware, chance, between, maybe, one_of) -> Kind:  # type: ignore[no-untyped-def]
    wall = between(0.4, 400) if maybe(0.92) else between(0.02, 0.2)
    sort = int(chance.integers(10))
    share = 1.0 if sort < 4 else between(0.3, 1.0) if sort < 8 else between(0.02, 0.3)
    threads = int(one_of(2, 4, 8)) if share > 0.5 and maybe(0.15) and hardware.cores >= 8 else 1
    usual = hardware.memory / max(1.0, hardware.cores / (share * threads))  # memory and CPU run out together
    # A worker count that CPU allows beyond some hundreds is of no use to anybody: memory bounds it.
    peak = float(np.clip(usual * between(0.02, 3), max(8 * MB, hardware.memory / 700), 0.4 * hardware.memory))
    creeping = maybe(0.25)
    memory = Memory(
        peak=peak, spread=between(0.01, 0.2), floor=float(chance.uniform(0.05, 0.4)), ramp=between(0.01, 0.5),
        creep=float(chance.uniform(0.2, 0.6)) if creeping else 0.0,
        spike=float(chance.uniform(0.1, 0.4)) if not creeping and maybe(0.1) else 0.0,
    )
    return Kind(
        f"kind{number}", wall, memory, sigma=between(0.02, 0.5), share=share, threads=threads,
        cycle=between(0.6, min(10.0, max(1.0, wall))), disk=share < 0.7 and maybe(0.3),
        load=min(between(0.5, 20), 0.3 * wall) if wall > 3 and maybe(0.3) else 0.0, load_share=float(chance.uniform(0.2, 1)),
        bandwidth=float(chance.uniform(0.3, 1)) if hardware.bandwidth is not None else 0.0,
        bound=float(chance.uniform(0.5, 1)), reports=wall > 30 and maybe(0.4),
        claim=None if maybe(0.9) else 1.1 * peak,
    )
