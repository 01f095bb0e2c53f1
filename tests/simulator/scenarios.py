"""The named scenarios: the fifteen of the governor's table, with parameters that put the best constant near the
table's, and harder ones."""

from __future__ import annotations

from tests.simulator.world import ENDLESS, GB, MB, NICED, Hardware, Kind, Memory, Neighbour, Scenario

MINUTE = 60.0
COMBOS = tuple(
    (0.4 + 0.3 * depth, 0.25 * 2.0**width * (1 + 0.2 * rate))
    for width in range(4) for depth in range(6) for rate in (0, 1)
) + tuple((1.0 + 0.2 * number, 0.5) for number in range(6))
"""Factors of work and memory of 54 hyper-parameter combinations, from a quarter of the usual memory to 2.4 times it."""

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

HARD = (
    Scenario(
        "contention, 4-min tasks that report progress", Hardware(32, 128 * GB, cliff=18, steepness=2),
        (Kind("cube", 4 * MINUTE, Memory(1 * GB), load=6, load_share=0.6, reports=True),), 2400, best_near=18,
    ),
    Scenario(
        "contention, 4-min tasks that report nothing", Hardware(32, 128 * GB, cliff=18, steepness=2),
        (Kind("cube", 4 * MINUTE, Memory(1 * GB), load=6, load_share=0.6),), 2400, best_near=18,
    ),
    Scenario(
        "coherency, 2-min tasks that report progress", Hardware(64, 256 * GB, kappa=1 / 28**2),
        (Kind("shared", 2 * MINUTE, Memory(1 * GB), reports=True),), 1800, best_near=28,
    ),
    Scenario(
        "coherency, 30-ms tasks that wait", Hardware(48, 96 * GB, kappa=1 / 50**2),
        (Kind("brief", 0.03, Memory(20 * MB), share=0.05),), 600,
    ),
    Scenario(
        "a neighbour with bursts", Hardware(16, 64 * GB), (Kind("work", 8, Memory(0.5 * GB)),), 900,
        neighbours=(Neighbour(0, 900, threads=6, on=30, off=40),),
    ),
    Scenario(
        "a neighbour with niced batch work", Hardware(16, 64 * GB), (Kind("work", 8, Memory(0.5 * GB)),), 900,
        neighbours=(Neighbour(300, 600, threads=20, niced=True),), marks=(300, 600), weight=NICED,
    ),
    Scenario(
        "the file server stalls", Hardware(16, 64 * GB, disk=60),
        (Kind("files", 15, Memory(0.4 * GB), share=0.3, disk=True),), 1200, stalls=((300, 345), (700, 790)), whole=True,
    ),
    Scenario(
        "a second kind arrives", Hardware(16, 48 * GB),
        (
            Kind("first", 20, Memory(0.6 * GB), share=0.5),
            Kind("second", 45, Memory(5 * GB, ramp=0.3), arrivals=((400.0, ENDLESS),)),
        ), 1200, marks=(400,),
    ),
    Scenario(
        "ten times the memory from item 100 on", Hardware(8, 32 * GB),
        (Kind("grown", 20, Memory(0.6 * GB, ramp=0.8), tail=(100, 10.0)),), 900, whole=True,
    ),
    Scenario(
        "54 combinations", Hardware(16, 48 * GB), (Kind("grid", 30, Memory(2 * GB, ramp=0.2), combos=COMBOS),), 1500,
    ),
    Scenario(
        "second threads of the cores", Hardware(32, 128 * GB, physical=16), (Kind("work", 10, Memory(1 * GB)),), 900,
    ),
    Scenario(
        "half a minute of loading", Hardware(24, 96 * GB, disk=10),
        (Kind("load", 100, Memory(1.5 * GB, floor=0.05, ramp=0.3), load=30, load_share=0.3),), 1500,
    ),
    Scenario(
        "the queue runs dry and fills again", Hardware(16, 64 * GB),
        (Kind("wave", 10, Memory(1 * GB), arrivals=((0.0, 400), (500.0, 400), (1000.0, 400))),), 1500,
        marks=(500, 1000),
    ),
    Scenario(
        "memory that comes at the end", Hardware(16, 48 * GB),
        (Kind("spike", 40, Memory(5.5 * GB, floor=0.2, spike=0.6)),), 1200,
    ),
    Scenario(
        "a cliff, tasks that wait most of the time", Hardware(64, 256 * GB, cliff=40, steepness=2.4),
        (Kind("cube", 25, Memory(1 * GB), share=0.4),), 1200,
    ),
    Scenario(
        "a neighbour fills memory within seconds", Hardware(16, 64 * GB),
        (Kind("hog", 40, Memory(3 * GB, floor=0.3, ramp=0.02, creep=0.6), share=0.3),), 1200,
        neighbours=(Neighbour(400, 800, threads=1, memory=28 * GB, ramp=4),), marks=(400, 800),
    ),
    Scenario("a laptop of 2 cores", Hardware(2, 8 * GB), (Kind("work", 20, Memory(1.2 * GB), share=0.95),), 600),
    Scenario(
        "a container of 1 core", Hardware(1, 2 * GB, procs=False),
        (Kind("work", 12, Memory(0.4 * GB), share=0.8),), 600,
    ),
)
"""More of our own: what the table leaves out."""

ALL = NAMED + HARD
