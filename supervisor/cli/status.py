"""`grist status`: jobs, or one job's tasks; for people, or as JSON with a schema that only grows."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from gristmill.supervisor.cli import tree
from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.cli.table import print_table
from gristmill.supervisor.core import figures, reasons
from gristmill.supervisor.core.figures import lasting
from gristmill.supervisor.core.sanitise import safe

MARKS = {
    "queued": "○ queued", "waiting": "◌ waiting", "held": "◌ held", "starting": "◐ starting", "running": "● running",
    "paused": "‖ paused", "done": "✓ done", "failed": "✗ failed", "canceled": "⊘ canceled", "timeout": "◷ timeout",
    "oom": "✗ oom", "lost": "? lost", "interrupted": "! interrupted",
}  # fmt: skip
STATES = frozenset(MARKS)


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options; `--state` with the name of a task state shows only such tasks of JOB."""
    parser.add_argument("job", nargs="?", metavar="JOB", help="an id, a name (the newest of it) or `last`")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--tree", action="store_true", help="jobs below the jobs that they wait for")
    parser.add_argument("--offset", type=int, default=0, metavar="N", help="of a job's tasks: pass over the first N")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="of a job's tasks: show N (default 100)")
    parser.add_argument("--watch", action="store_true", help="print what changes, in plain lines, until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    """Shows what the daemon says."""
    words = args.state or []
    task_state = next((word for word in words if args.job is not None and word in STATES), None)
    args.state = next((word for word in words if word != task_state), None)
    if args.watch:
        from gristmill.supervisor.cli import watching

        return watching.follow(place_of(args), args.job)
    with place_of(args).connect() as client:
        if args.job is None:
            answer = client.ask("status", near=not args.json)
        else:
            answer = client.ask("job", job=args.job, offset=args.offset, limit=args.limit, state=task_state)
    if args.json:
        print(json.dumps(answer))
    elif args.tree:
        jobs = answer["jobs"] if args.job is None else [answer["job"]]
        print("\n".join(tree.lines(jobs, MARKS)) or "no jobs yet: drop a job file into the folder")
    elif args.job is None:
        show_jobs(answer, time.time())
    else:
        show_tasks(answer, time.time())
    return 0


def show_jobs(answer: dict[str, Any], now: float) -> None:
    """The daemon's line, the limit's reason, a table of jobs."""
    daemon, limit, machine = answer["daemon"], answer["limit"], answer["machine"]
    print(f"daemon {daemon['state']}, pid {daemon['pid']}, up {figures.clock_span(daemon['uptime_s'])}, "
          f"{safe(daemon['jobs_dir'])}")
    for line in conditions(daemon, now):
        print(line)
    print(f"workers {limit['busy']} of {limit['workers']} busy: {safe(limit['reason'])}")
    print(f"machine: CPU {machine['cpu_percent']:.0f} % of {machine['cores']:g} cores, memory "
          f"{figures.size(machine['memory_available_bytes'])} of {figures.size(machine['memory_total_bytes'])} free")
    for engine in answer.get("engines", []):
        print(_engine(engine))
    if not answer["jobs"]:
        print("no jobs yet: drop a job file into the folder")
        return
    rows = [("ID", "STATE", "NAME", "DONE", "FAILED", "RUN", "LEFT", "REASON")]
    rows += [
        (
            str(job["id"]), MARKS.get(job["state"], job["state"]), safe(job["name"])[:40],
            f"{job.get('items_done', 0)}/{job['items']}", str(job.get("items_failed") or ""),
            str(job.get("tasks_running") or ""), figures.about(job.get("eta_s")), safe(job.get("reason", ""))[:60],
        )
        for job in answer["jobs"]
    ]
    print_table(rows)
    if more := answer.get("jobs_more"):
        print(f"… and {more:,} more jobs that wait: status --json tells of all")


def _engine(engine: dict[str, Any]) -> str:
    """An engine elsewhere in one line: what it has of ours, and what keeps it from more."""
    state = "" if engine["state"] == "ok" else f"; {engine['state']}: {safe(engine['reason'])}"
    words = f"; {safe(engine['words'])}" if engine["words"] else ""
    return f"{engine['name']}: {engine['running']} running, {engine['queued']} in its queue{words}{state}"


def conditions(daemon: dict[str, Any], now: float) -> list[str]:
    """All that is wrong, one line each; what holds new tasks back first, as the daemon has it."""
    known = daemon.get("conditions", [])
    if not known and daemon.get("reason"):  # a daemon of before conditions had names
        return [f"◌ HELD  {safe(daemon['reason'])}"]
    return [
        f"{'◌ HELD' if one['holds'] else '! NOTE'}  {safe(reasons.named(one['kind'], one['reason']))} "
        f"({lasting(now - one['since'])})"
        for one in known
    ]


def show_tasks(answer: dict[str, Any], now: float) -> None:
    """One job and a page of its tasks."""
    job = answer["job"]
    print(f"job {job['id']} {safe(job['name'])}: {MARKS.get(job['state'], job['state'])}, "
          f"{job['items_done']} of {job['items']} items done, {job['items_failed']} failed")
    if job.get("reason"):
        print(safe(job["reason"]))
    rows = [("TASK", "STATE", "ITEMS", "WHERE", "TRY", "EXIT", "TIME", "CPU", "PEAK", "PARAMETERS", "REASON")]
    for task in answer["tasks"]:
        began, ended = task["started_at"], task["ended_at"]
        span = figures.clock_span((ended or now) - began) if began else ""
        params = " ".join(f"{key}={value}" for key, value in task.get("params", {}).items())
        rows.append((
            task["id"], MARKS.get(task["state"], task["state"]), figures.item_range(task["start"], task["count"]),
            _place(task), str(task["attempts"] or ""), figures.exit_word(task["exit_code"], task["signal"]), span,
            f"{task['cpu_s']:.1f}s" if task["cpu_s"] is not None else "", figures.size(task["memory_peak_bytes"]),
            safe(params)[:40], _about(task)[:60],
        ))
    print_table(rows)


def _place(task: dict[str, Any]) -> str:
    """Where a task runs, if not here: its host or engine, and what the engine calls it."""
    if task.get("where", "local") == "local":
        return ""
    return safe(" ".join(filter(None, (task["host"] or task["where"], task["engine_id"]))))[:30]


def _about(task: dict[str, Any]) -> str:
    """Why a task is as it is; of ranges that are shown as one, how many they were."""
    reason = safe(task.get("reason", ""))
    return reason or (f"{task['stands_for']} tasks" if task.get("stands_for", 1) > 1 else "")
