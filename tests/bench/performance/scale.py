"""A million items of one job, a hundred thousand jobs of one item, and a past of a million tasks: what all that costs.

How the costs grow from 10² to 10⁶ is drawn into docs/performance.svg where tables are written.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gristmill.supervisor.core.task import Task
from gristmill.supervisor.edge.client import Client
from tests.bench.performance import plot, process
from tests.bench.performance.ground import Ground, ground
from tests.bench.stories.tables import Bar, Table, bars

MILLION = 1_000_000
DISPATCHED = 4000
"""So many tasks are run on top of a past to see what one costs there."""
LOOK_S = 0.25
LONGEST_S = 600.0
HEAD = ("ended tasks", "tasks/s", "our CPU ms a task", "status, ms", "a page of it, ms", "start-up, s", "daemon MB")
PICTURE = Path(__file__).parents[3] / "docs" / "performance.svg"


def part(compact: bool) -> list[Table]:
    """All tables, and the picture."""
    jobs = 10_000 if compact else 100_000
    rounds = 1 if compact else 3
    accepted, grown = one_job(MILLION)
    taken_s, more, status, whole = many_jobs(jobs)
    pasts = {size: past(size, rounds) for size in (100, 1000, 10_000, 100_000, MILLION)}
    first, last = pasts[1000], pasts[MILLION]
    drift = last["cpu"] / first["cpu"] - 1
    drawn[PICTURE] = plot.picture(
        "One more task, and two questions, with so many ended tasks in the record",
        {name: [(size, found[key]) for size, found in pasts.items()] for key, name in LINES.items()},
    )
    rows = [(f"{size:,}", found["rate"], found["cpu"], found["status"], found["page"], found["start"], found["rss"])
            for size, found in pasts.items()]
    part_of = jobs / 100_000
    return [
        Table(f"With so many ended tasks, all of one job that goes on ({DISPATCHED:,} more are run, {rounds} times)",
              HEAD, rows),
        bars([
            Bar("1,000,000 items of one job: accepted, s", f"{accepted:.2f}", "< 2", accepted < 2),
            Bar("the same: the daemon grows by MB", f"{grown:.1f}", "< 30", grown < 30),
            Bar(f"{jobs:,} jobs of one item, dropped as files: accepted, s", f"{taken_s:.1f}",
                f"< {60 * part_of:.0f}", taken_s < 60 * part_of),
            Bar("the same: the daemon grows by MB", f"{more:.1f}", "< 30", more < 30),
            Bar("the same: status, ms", f"{status:.0f}", "< 100", status < 100),
            Bar("the same: status with all of them, ms", f"{whole:.0f}"),
            Bar("status with 1,000,000 ended tasks, ms", f"{last['status']:.1f}", "< 100", last["status"] < 100),
            Bar("start-up with 1,000,000 ended tasks, s", f"{last['start']:.2f}", "< 1", last["start"] < 1),
            Bar("CPU of a task at 1,000,000, more than at 1,000", f"{100 * drift:+.0f} %", "≤ 10 %", drift <= 0.10),
        ]),
    ]


drawn: dict[Path, str] = {}
"""The picture, once it is drawn."""
LINES = {"cpu": "CPU of a task, ms", "status": "status, ms", "page": "a page of the job, ms"}


def one_job(items: int) -> tuple[float, float]:
    """(seconds until a job of so many items is durable, MB by which the daemon grows)."""
    with ground("--limit", "0") as mill:
        time.sleep(1.0)
        before, began = process.rss_mb(mill.pid), time.perf_counter()
        mill.hand_in(f'command = ["/bin/true"]\n[items]\ntotal = {items}\nper_task = 1\n')
        return time.perf_counter() - began, process.rss_mb(mill.pid) - before


def many_jobs(jobs: int) -> tuple[float, float, float, float]:
    """(seconds until so many dropped files are jobs, MB by which the daemon grows, ms of the status request then, as a
    terminal asks it and with all of them)."""
    with ground("--limit", "0") as mill:
        stage = mill.base / "stage"
        stage.mkdir()
        for number in range(jobs):
            (stage / f"{number}.toml").write_text('command = ["/bin/true"]\n')
        before, began = process.rss_mb(mill.pid), time.perf_counter()
        for number in range(jobs):
            os.rename(stage / f"{number}.toml", mill.jobs / f"{number}.toml")
        mill.look(lambda: _placed(mill, jobs), f"{jobs:,} files were not all taken in", LOOK_S, 3600)
        taken = time.perf_counter() - began
        time.sleep(2.0)
        return taken, process.rss_mb(mill.pid) - before, _asked(mill, "status", near=True), _asked(mill, "status")


def _placed(mill: Ground, jobs: int) -> bool:
    """Whether none lies in the folder still, and all are where accepted ones are."""
    return (not any(name.endswith(".toml") for name in os.listdir(mill.jobs))
            and len(os.listdir(mill.jobs / "accepted")) >= jobs)


def past(size: int, rounds: int) -> dict[str, float]:
    """What a daemon costs whose record has a job of which so many tasks have ended, and that goes on."""
    with ground("--limit", "0") as mill:
        number = mill.hand_in(
            f'command = ["/bin/true"]\n[items]\ntotal = {size + 1 + rounds * DISPATCHED}\nper_task = 1\n', "past")
        mill.stop()
        _forge(mill.state / "queue.db", number, size)
        began = time.perf_counter()
        mill.start("--quiet", "--limit", "0")
        found = {"start": time.perf_counter() - began, "rss": process.rss_mb(mill.pid)}
        found["status"] = statistics.median(_asked(mill, "status") for _ in range(5))
        found["page"] = statistics.median(_asked(mill, "tasks", job="past", limit=100) for _ in range(5))
        mill.ask("limit", workers=8)
        mill.run('["/bin/true"]', 500)  # beside it, so that workers are there
        rates, costs = [], []
        with Client(mill.state / "socket") as client:
            def done() -> int:
                return int(client.ask("job", job=str(number), limit=0)["job"]["items_done"])

            for turn in range(rounds):
                due = size + (turn + 1) * DISPATCHED - 500
                ended, cpu, began = done(), process.cpu_of(process.ours(mill.pid)), time.perf_counter()
                while (now := done()) < due:
                    if time.perf_counter() > began + LONGEST_S:
                        raise SystemExit("the tasks do not end")
                    time.sleep(0.02)
                wall = time.perf_counter() - began
                rates.append((now - ended) / wall)
                costs.append(1000 * (process.cpu_of(process.ours(mill.pid)) - cpu) / (now - ended))
        mill.end_of(number)
        return {**found, "rate": statistics.median(rates), "cpu": statistics.median(costs)}


def _forge(database: Path, job: int, size: int) -> None:
    """Writes a past: as many ended tasks of a job as are wanted, as the daemon itself would have them by now."""
    now = time.time()
    row: dict[str, Any] = {"state": "done", "attempts": 1, "run": 1, "worker": 1, "exit_code": 0, "started_at": now,
                           "ended_at": now, "cpu_s": 0.0005, "memory_peak_bytes": 1 << 21}
    fields = Task.__struct_fields__
    plain = Task(job=job, number=0, start=0, count=1)
    values = [row.get(name, getattr(plain, name)) for name in fields]
    number, start = fields.index("number"), fields.index("start")

    def rows() -> Iterator[tuple[Any, ...]]:
        for at in range(size):
            values[number] = values[start] = at
            yield tuple(values)

    db = sqlite3.connect(database)
    with db:
        db.executemany(f"INSERT INTO tasks VALUES ({', '.join('?' * len(fields))})", rows())
        db.execute("UPDATE jobs SET cursor = ?, tasks_ended = ?, items_done = ?, state = 'running', started_at = ? "
                   "WHERE id = ?", (size, size, size, now, job))
    db.close()


def _asked(mill: Ground, op: str, **arguments: object) -> float:
    """Milliseconds until the daemon has answered."""
    with Client(mill.state / "socket", timeout=120) as client:
        began = time.perf_counter()
        client.ask(op, **arguments)
        return 1000 * (time.perf_counter() - began)
