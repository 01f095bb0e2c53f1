"""`grist demo`: drops the examples, runs them, and measures what the machine can do with one worker and with many.

The story comes first and alone: its first tasks on one worker, the rest on as many as the governor finds. Then the
other examples.
"""

from __future__ import annotations

import argparse
import signal
import time
from typing import Any

from gristmill.supervisor.cli import launchpad
from gristmill.supervisor.cli.place import Place, place_of
from gristmill.supervisor.cli.progress import Progress
from gristmill.supervisor.cli.table import print_table
from gristmill.supervisor.core import figures
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.edge.client import Client

STORY = "too_long_method"
ALONE = 4
"""Tasks of the story that one worker runs by itself, as the yardstick."""


def configure(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""
    parser.epilog = "The story's first tasks run on one worker, the rest on as many as the governor finds."


def run(args: argparse.Namespace) -> int:
    """Starts a daemon for the demo unless one runs already, and leaves things as they were."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # a terminal that is closed is no reason to leave the limit at one
        if signal.getsignal(number) != signal.SIG_IGN:  # as it is under nohup
            signal.signal(number, signal.default_int_handler)
    place = place_of(args)
    launchpad.prepare_folder(place)
    ours = not launchpad.runs(place)
    if ours:
        launchpad.start(place)
    try:
        return measure(place)
    finally:
        if ours:
            with place.connect() as client:
                client.ask("shutdown")


def measure(place: Place) -> int:
    """Drops, follows, and prints the table; 1 when an example failed. Interrupted, it cancels what it dropped."""
    began = time.time()
    with place.connect() as orders, place.connect() as ears:
        limit = orders.ask("status")["limit"]
        before = limit["workers"] if limit["mode"] == "fixed" else None
        orders.ask("limit", workers=1)
        try:
            seen = watch(place, orders, ears, began, before)
        except KeyboardInterrupt:
            abandon(place, began)
            raise
        finally:
            with place.connect() as again:  # the other may be in the middle of an answer
                again.ask("limit", workers=before)
        jobs = dropped_since(orders, began)
        table(orders, jobs, seen)
    return 1 if any(job["state"] != "done" for job in jobs) else 0


def dropped_since(client: Client, began: float) -> list[dict[str, Any]]:
    """The demo's jobs."""
    return [job for job in client.ask("status")["jobs"] if job["submitted_at"] >= began]


def abandon(place: Place, began: float) -> None:
    """Cancels the demo's jobs that have not ended, and says so."""
    with place.connect() as client:
        if left := [str(job["id"]) for job in dropped_since(client, began) if job["ended_at"] is None]:
            print(f"\ninterrupted: {safe(client.ask('cancel', ids=left)['message'])}", flush=True)


def watch(place: Place, orders: Client, ears: Client, began: float, limit: int | None) -> dict[str, Any]:
    """Drops what is next when it is time for it; returns what was seen meanwhile. After one worker, `limit` counts."""
    progress = Progress()
    busy: dict[int, int] = {}
    released: float | None = None
    dropped = launchpad.drop_examples(place, only=STORY)
    print(f"dropped into {place.jobs}: {dropped[0]}", flush=True)
    for update in ears.updates():
        over = progress.take(update, began)
        story = next((job for job in progress.jobs.values() if job["name"] == STORY), None)
        if story is None:
            continue
        if released is None:
            first = orders.ask("tasks", job=str(story["id"]), limit=ALONE)["tasks"]
            if all(task["state"] == "done" for task in first) or over:
                orders.ask("limit", workers=limit)
                released = time.time()
        elif not over and len(dropped) == 1 and update["limit"]["busy"]:
            busy[update["limit"]["busy"]] = busy.get(update["limit"]["busy"], 0) + 1
        if over and len(dropped) == 1:
            dropped += launchpad.drop_examples(place, besides=STORY)
            progress.end()
            print(f"dropped: {', '.join(dropped[1:])}", flush=True)
        elif over and len(progress.jobs) >= len(dropped):
            break
    progress.end()
    return {"released": released, "busy": busy, "cores": update["machine"]["cores"]}


def table(client: Client, jobs: list[dict[str, Any]], seen: dict[str, Any]) -> None:
    """What ran, and the speed-up."""
    rows = [("JOB", "STATE", "TASKS", "ITEMS", "WALL", "CPU", "TASK MEAN", "TASK PEAK")]
    for job in jobs:
        tasks = fetch(client, job)
        wall = (job["ended_at"] or 0) - (job["started_at"] or 0)
        rows.append((
            safe(job["name"]), job["state"], str(job["tasks"]), f"{job['items_done']}/{job['items']}", f"{wall:.1f}s",
            f"{sum(task['cpu_s'] or 0 for task in tasks):.1f}s", f"{job['wall_s_mean']:.2f}s",
            figures.size(job["memory_peak_bytes"]),
        ))
        if job["name"] == STORY:
            story = tasks
    print()
    print_table(rows)
    words = speed_up(story, seen)
    print(f"\n{words}")


def speed_up(tasks: list[dict[str, Any]], seen: dict[str, Any]) -> str:
    """The story's items a second on one worker and afterwards, from the tasks' own times."""
    alone = [task for task in tasks if task["ended_at"] <= seen["released"]]
    rest = [task for task in tasks if task["started_at"] >= seen["released"]]
    if not alone or not rest or not seen["busy"]:
        return "too short a run to measure a speed-up"
    one = rate(alone)
    many = rate(rest)
    best = max(seen["busy"], key=lambda workers: seen["busy"][workers])
    return (
        f"{STORY}: {one:.0f} items/s on one worker, {many:.0f} items/s with {figures.several(best, 'worker')}, "
        f"the number found for {figures.several(seen['cores'], 'core')}: {many / one:.2f} times as fast."
    )


def rate(tasks: list[dict[str, Any]]) -> float:
    """Items a second from the first start to the last end."""
    span = max(task["ended_at"] for task in tasks) - min(task["started_at"] for task in tasks)
    return float(sum(task["count"] for task in tasks) / max(span, 1e-9))


def fetch(client: Client, job: dict[str, Any]) -> list[dict[str, Any]]:
    """All tasks of a job; of chosen ranges, the records that are left of them."""
    tasks: list[dict[str, Any]] = []
    while True:
        page = client.ask("tasks", job=str(job["id"]), offset=len(tasks), limit=1000)
        tasks += page["tasks"]
        if not page["tasks"] or len(tasks) >= page["total"]:
            return tasks
