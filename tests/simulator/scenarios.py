"""The named scenarios: fifteen of the governor's table. Their parameters put the best constant near the table's."""

from __future__ import annotations

from tests.simulator.world import ENDLESS, GB, MB, Hardware, Kind, Memory, Neighbour, Scenario

MINUTE = 60.0

NAMED = (
    Scenario(
        "8 cores, 16 GB, 15-min NumPy tasks that wait", Hardware(8, 16 * GB),
        (Kind("numpy", 15 * MINUTE, Memory(0.52 * GB), share=0.42, cycle=5),), 3600, best_near=27,
    ),
    Scenario(
        "80 cores, throughput peaks at 60, then a cliff", Hardware(80, 256 * GB, cliff=61, steepness=2.5, sigma=0.001),
        (Kind("cube", 20, Memory(0.5 * GB)),), 1200, best_near=61,
    ),
    Scenario(
        "LSTM folds whose memory creeps, 16 GB", Hardware(8, 16 * GB),
        (Kind("lstm", 150, Memory(4.4 * GB, floor=0.2, ramp=0.1, creep=0.5), load=4, load_share=0.5),), 1800,
        best_near=3,
    ),
    Scenario(
        "feed-forward folds, 16 GB", Hardware(8, 16 * GB),
        (Kind("forward", 40, Memory(2.4 * GB, floor=0.3, ramp=0.1), share=0.7, threads=2, load=2),), 900, best_near=6,
    ),
    Scenario(
        "160 cores, bandwidth-bound", Hardware(160, 512 * GB, bandwidth=152),
        (Kind("wide", 30, Memory(0.6 * GB), share=0.85, bandwidth=1.0),), 900, best_near=186,
    ),
    Scenario(
        "I/O-bound, 10 × the cores", Hardware(16, 64 * GB),
        (Kind("disk", 12, Memory(60 * MB), share=0.12, disk=True, cycle=1),), 900, best_near=132,
    ),
    Scenario(
        "sleepers", Hardware(4, 8 * GB), (Kind("sleep", 10, Memory(18 * MB), share=0.0135, cycle=5),), 900,
        best_near=300,
    ),
    Scenario(
        "four threads a task", Hardware(24, 64 * GB), (Kind("omp", 25, Memory(1 * GB), threads=4),), 900,
        best_near=6,
    ),
    Scenario(
        "mixed classes", Hardware(16, 32 * GB),
        (
            Kind("light", 12, Memory(0.4 * GB)),
            Kind("heavy", 30, Memory(6.2 * GB, ramp=0.2, creep=0.2), share=0.9),
            Kind("fetch", 20, Memory(0.2 * GB), share=0.3),
        ), 1200, best_near=13,
    ),
    Scenario(
        "leaky", Hardware(12, 32 * GB), (Kind("leak", 60, Memory(3.6 * GB, floor=0.05, creep=0.9, spread=0.05)),),
        1200, best_near=9,
    ),
    Scenario(
        "another user takes 50 % CPU, leaves", Hardware(16, 64 * GB), (Kind("work", 10, Memory(0.5 * GB)),), 900,
        neighbours=(Neighbour(300, 600, threads=8),), marks=(300, 600),
    ),
    Scenario(
        "another user takes 50 % memory, leaves", Hardware(16, 32 * GB),
        (Kind("work", 30, Memory(1.7 * GB, ramp=0.1)),), 1200,
        neighbours=(Neighbour(400, 800, threads=1, memory=16 * GB, ramp=30),), marks=(400, 800),
    ),
    Scenario("20 ms tasks", Hardware(8, 16 * GB), (Kind("tiny", 0.02, Memory(12 * MB), share=0.9, cycle=0.7),), 600),
    Scenario(
        "300 tasks of 15 min", Hardware(32, 64 * GB),
        (Kind("long", 15 * MINUTE, Memory(1.5 * GB), share=0.95, cycle=5, arrivals=((0.0, 300),)),), 9000,
    ),
    Scenario(
        "container with 4 of the host's cores", Hardware(4, 8 * GB, procs=False),
        (Kind("boxed", 15, Memory(1.15 * GB), share=0.93),), 900,
    ),
)

__all__ = ["ENDLESS", "NAMED"]
ALL = NAMED
