"""What a daemon costs that has nothing to do, and one with hundreds of tasks that only sleep."""

from __future__ import annotations

import time
from typing import NamedTuple

from tests.bench.performance import process
from tests.bench.performance.ground import CLAIM, Ground, ground
from tests.bench.stories.tables import Bar, Table, bars

SETTLES_S = 4.0
SLEEPERS = 512


class Cost(NamedTuple):
    """Of a core in percent, wake-ups a second, MB: of the daemon; then what spawner and workers use of a core."""

    percent: float
    wakeups: float
    rss: float
    others: float


def part(compact: bool) -> list[Table]:
    """All tables."""
    seconds = 12.0 if compact else 60.0
    with ground("--limit", str(SLEEPERS)) as mill:
        time.sleep(SETTLES_S)
        idle = cost(mill, seconds)
        mill.drop("sleepers.toml",
                  f'command = ["/bin/sleep", "1000"]\n[items]\ntotal = {SLEEPERS}\nper_task = 1\n{CLAIM}')
        mill.running("sleepers", SLEEPERS)
        time.sleep(SETTLES_S)
        busy = cost(mill, seconds)
        (spawner,) = process.children(mill.pid)
        own = process.rss_mb(spawner)
        worker = process.rss_mb(process.children(spawner)[0])
    rows = [(name, one.percent, one.others, one.wakeups, one.rss)
            for name, one in (("nothing to do", idle), (f"{SLEEPERS} tasks that sleep", busy))]
    return [
        Table(f"Over {seconds:.0f} s", ("", "daemon, % of a core", "spawner and workers, %", "wake-ups/s of the daemon",
                                        "daemon MB"), rows,
              f"The spawner has {own:.1f} MB resident, a worker {worker:.1f} MB, nearly all of it shared."),
        bars([
            Bar("daemon, MB resident", f"{idle.rss:.1f}", "≤ 40", idle.rss <= 40),
            Bar("spawner, MB resident", f"{own:.1f}", "≤ 11", own <= 11),
            Bar("idle, % of a core", f"{idle.percent + idle.others:.2f}", "≤ 0.3", idle.percent + idle.others <= 0.3),
            Bar("idle, wake-ups a second", f"{idle.wakeups:.1f}", "≤ 4", idle.wakeups <= 4),
            Bar(f"{SLEEPERS} sleepers, % of a core", f"{busy.percent + busy.others:.2f}", "≤ 3",
                busy.percent + busy.others <= 3),
        ]),
    ]


def cost(mill: Ground, seconds: float) -> Cost:
    """What is used in so many seconds."""
    others = process.ours(mill.pid)[1:]
    began, cpu, rest = time.monotonic(), process.cpu_s(mill.pid), process.cpu_of(others)
    woken = process.wakeups(mill.pid)
    time.sleep(seconds)
    wall = time.monotonic() - began
    return Cost(100 * (process.cpu_s(mill.pid) - cpu) / wall, (process.wakeups(mill.pid) - woken) / wall,
                process.rss_mb(mill.pid), 100 * (process.cpu_of(others) - rest) / wall)
