"""A thousand tasks at once: how soon all run, whether each is shown, how soon all are gone."""

from __future__ import annotations

import time

from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.edge.client import Client
from tests.bench.performance import process
from tests.bench.performance.ground import CLAIM, Ground, ground
from tests.bench.stories.tables import Bar, Table, bars

TASKS = 1000
LOOK_S = 0.05
HEAD = ("round", "all run after s", "a page of all of them, ms", "canceled, all gone after s", "shown",
        "CPU s to start")


def part(compact: bool) -> list[Table]:
    """All tables."""
    rounds = 1 if compact else 3
    rows = []
    for _ in range(rounds):
        with ground("--limit", str(TASKS)) as mill:
            time.sleep(1.5)
            rows.append(_round(mill))
    starts, shown, ends = (max(row[at] for row in rows) for at in range(3))
    least = min(row[3] for row in rows)
    return [
        Table(f"{TASKS} tasks that sleep, {rounds} rounds", HEAD, [(str(at), *row) for at, row in enumerate(rows, 1)]),
        bars([
            Bar("started, s", f"{starts:.1f}", "< 5", starts < 5),
            Bar("each visible", f"{least:.0f} of {TASKS}", "all", least == TASKS),
            Bar("a page of all of them, ms", f"{shown:.0f}"),
            Bar("canceled, s", f"{ends:.1f}", "< 3", ends < 3),
        ]),
    ]


def _round(mill: Ground) -> tuple[float, float, float, float, float]:
    cpu = process.cpu_of(process.ours(mill.pid))
    with Client(mill.state / "socket") as client:
        began = time.monotonic()
        mill.drop("many.toml", f'command = ["/bin/sleep", "1000"]\n[items]\ntotal = {TASKS}\nper_task = 1\n{CLAIM}')
        mill.look(lambda: _given(client) >= TASKS, "not all of them were given to workers", LOOK_S)
        # each in a list of all, which takes the daemon ten milliseconds: asked for only now
        mill.look(lambda: sum(worker["state"] == "running" for worker in client.ask("status")["workers"]) >= TASKS,
                  "not all of them were started", LOOK_S)
        started = time.monotonic() - began
        spent = process.cpu_of(process.ours(mill.pid)) - cpu
        asked = time.monotonic()
        page = client.ask("tasks", job="many", limit=TASKS, state="running")["tasks"]
        shown = 1000 * (time.monotonic() - asked)
        began = time.monotonic()
        client.ask("cancel", ids=["many"])
        mill.look(lambda: client.ask("job", job="many", limit=0)["job"]["ended_at"], "not all of them ended", LOOK_S)
        return started, shown, time.monotonic() - began, float(sum(t["state"] == "running" for t in page)), spent


def _given(client: Client) -> int:
    """How many of the job's tasks have a worker, running or about to."""
    try:
        return int(client.ask("job", job="many", limit=0)["job"]["tasks_running"])
    except GristError:
        return 0  # the file was not seen yet
