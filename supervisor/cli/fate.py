"""Why one job or task waits, runs, or ended as it did, in sentences made of what the daemon says.

A daemon that does not know `why` yet still has its jobs and tasks explained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from gristmill.supervisor.cli.status import MARKS, conditions
from gristmill.supervisor.core import figures, reasons
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.figures import lasting
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.edge.client import Client

NAMED = 4
"""Jobs that a sentence names; of more it gives the number."""
LOOKED_AT = 1000
SERVED = ("queued", "waiting", "running")
"""States in which a job may be given a worker."""
ENDS = {
    "done": "It ended well", "failed": "It failed", "timeout": "It ran longer than its job allows, and was ended",
    "oom": "It was killed for lack of memory", "canceled": "It was canceled", "lost": "What came of it is not known",
    "interrupted": "The machine went down while it ran",
}  # fmt: skip
LAST = "It is the [finally] step of its job, which runs once when all tasks have ended."
Fields: TypeAlias = dict[str, Any]
"""A job or a task as the daemon gives it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the daemon said: its state, one job, one task of it and how many of its job come first, and `why`."""

    status: dict[str, Any]
    job: Fields
    task: Fields | None
    before: int | None
    why: dict[str, Any] | None


def gather(client: Client, which: str) -> Known:
    """Asks for all of it; raises GristError where there is no such job or task."""
    name, slash, tail = which.rpartition("/")
    is_task = bool(slash) and tail.isascii() and tail.isdecimal()
    status = client.ask("status")
    try:
        why = client.ask("why")
    except GristError:  # an older daemon; what it says of its jobs is enough
        why = None
    if not is_task:
        return Known(status, client.ask("tasks", job=which, offset=0, limit=0)["job"], None, None, why)
    page = client.ask("tasks", job=name, number=int(tail), offset=int(tail), limit=1)  # an older daemon counts tasks
    if not page["tasks"]:
        raise GristError(f"no task {which!r} – the job has {page['job']['tasks']} tasks, from 0 on")
    job, task = page["job"], page["tasks"][0]
    before = None
    if task["state"] == "queued":
        queued = client.ask("tasks", job=str(job["id"]), offset=0, limit=LOOKED_AT, state="queued")["tasks"]
        before = next((place for place, one in enumerate(queued) if one["number"] == task["number"]), len(queued))
    return Known(status, job, task, before, why)


def explain(known: Known, now: float) -> list[str]:
    """All sentences, in the order in which one asks."""
    job, task = known.job, known.task
    if task is None:
        lines = [f"job {job['id']} {safe(job['name'])}: {MARKS.get(job['state'], job['state'])}", *_of_job(job, now)]
        lines += _frozen(job.get("snapshot"))
        lines += [f"Not honoured: {safe(note)}." for note in job.get("notes", ())]
        waits = job["state"] in SERVED and waiting(job) > 0
    else:
        lines = [f"task {task['id']} of {safe(job['name'])}: {MARKS.get(task['state'], task['state'])}",
                 *([LAST] if task["count"] == 0 else []), *_of_task(known, task, now)]  # fmt: skip
        waits = task["state"] == "queued"
    if waits and job["state"] in SERVED:
        lines += _room(known, now)
        lines += _ahead(known)
        lines += _need(known)
    return lines


def _frozen(code: Fields | None) -> list[str]:
    """Which code it runs, where that was frozen."""
    if not code:
        return []
    words = f"It runs code frozen when it was accepted: {_some(code['files'], 'file')} in {safe(code['folder'])}"
    if not code.get("commit"):
        return [words + "."]
    changed = len(code.get("changed", ()))
    differ = f" with {_some(changed, 'file')} changed ({safe(code['diff'])})" if changed else ""
    return [f"{words}, of commit {safe(code['commit'])[:12]}{differ}."]


def waiting(job: Fields) -> int:
    """How many tasks of a job have no worker yet, as near as its counts of items tell."""
    per_task = -(-job["items"] // max(1, job.get("tasks") or 1))
    left = job["items"] - job.get("items_done", 0) - job.get("items_failed", 0)
    return max(0, int(-(-left // max(1, per_task))) - int(job.get("tasks_running", 0)))


def _of_job(job: Fields, now: float) -> list[str]:
    """What its state means."""
    left, running, reason = waiting(job), job.get("tasks_running", 0), safe(job.get("reason") or "")
    counts = f"{job.get('items_done', 0)} of {job['items']} items are done, {job.get('items_failed', 0)} failed"
    because = f": {reason}" if reason else ""
    ended = _ended(job, now)
    match job["state"]:
        case "queued" | "waiting":
            return [f"It waits: {_some(left, 'task')}, of which none runs{because}."]
        case "running" if left and running:
            more = [f"Why no more: {reason}."] if reason else []
            run = f"{_some(running, 'task')} of it {_do(running, 'run')}, {left} {_do(left, 'wait')}"
            return [f"{run}; {counts}.", *more]
        case "running" if running:
            return [f"Its last {_some(running, 'task')} {_do(running, 'run')}; {counts}."]
        case "running":
            return [f"It has begun, but none of its tasks runs now; {left} {_do(left, 'wait')}{because}."]
        case "held":
            return [f"It is held and starts nothing until it is released{because}."]
        case "done":
            return [f"It is done{ended}: all {job['items']} items ended well."]
        case "failed":
            return [f"It has failed{ended}: {counts}{because}.",
                    f"What failed runs again with: grist retry {job['id']}"]  # fmt: skip
        case "canceled":
            return [f"It was canceled{ended}{because}; {counts}."]
    return [f"The daemon calls its state {job['state']}{because}."]


def _of_task(known: Known, task: Fields, now: float) -> list[str]:
    """What its state means, and its own reason."""
    state, reason = task["state"], safe(task.get("reason") or "")
    because = f": {reason}" if reason else ""
    if state == "paused" or (state == "running" and known.why is not None and task["id"] in known.why["paused"]):
        return [f"It is stopped with all its processes for lack of room, and goes on when there is some{because}.",
                "The time that it is stopped does not count to its timeout.", *_progress(task)]  # fmt: skip
    if state == "queued":
        again = task.get("attempts", 0) > 0 or reason
        return [f"It waits for another attempt{because}." if again else "It waits, and was not started yet.",
                *_place(known)]  # fmt: skip
    if state in ENDS:
        return [ENDS[state] + _particulars(task, now) + because + "."]
    tries = f", attempt {task['attempts']}" if task.get("attempts", 0) > 1 else ""
    worker = f"worker {task['worker']}" if task.get("worker") is not None else "a worker"
    if state == "starting":
        return [f"It was given to {worker}, which has not begun it yet{tries}."]
    if state == "running":
        span = f" {lasting(now - task['started_at'])}" if task.get("started_at") else ""
        pid = f", pid {task['pid']}" if task.get("pid") else ""
        return [f"It has run{span} on {worker}{pid}{tries}{because}.", *_progress(task)]
    if state == "held":
        return [f"It is held, and starts when somebody retries it{because}."]
    return [f"The daemon calls its state {safe(state)}{because}."]


def _progress(task: Fields) -> list[str]:
    """How far it says that it is, and what that promises."""
    done, ran, left = task.get("progress"), task.get("ran_s"), task.get("left_s")
    if done is None or ran is None:
        return []
    promise = f", about {lasting(left).removeprefix('for ')} left" if left is not None and done < 1 else ""
    return [f"It says that it is {100 * done:.0f} % done after {lasting(ran).removeprefix('for ')}{promise}."]


def _particulars(task: Fields, now: float) -> str:
    """How a task ended: exit code or signal, when, after how long, in which attempt, with how much memory."""
    began, ended = task.get("started_at"), task.get("ended_at")
    word = figures.exit_word(task.get("exit_code"), task.get("signal"))
    how = "" if task["state"] != "failed" or not word else (
        f" by signal {word}" if task.get("signal") is not None else f" with exit code {word}")  # fmt: skip
    ran = f" after {reasons.taken(ended - began)}" if began and ended else ""
    tries = f", in attempt {task['attempts']}" if task.get("attempts", 0) > 1 else ""
    peak = f", and took up to {figures.size(task['memory_peak_bytes'])}" if task.get("memory_peak_bytes") else ""
    return how + _ended(task, now) + ran + tries + peak


def _ended(one: dict[str, Any], now: float) -> str:
    when = one.get("ended_at")
    return f" at {figures.wall_clock(when, now)}" if when else ""


def _place(known: Known) -> list[str]:
    if not known.before:
        return ["It is the next task of its job."] if known.before == 0 else []
    many = "at least " if known.before >= LOOKED_AT else ""
    return [f"Of its own job {many}{_some(known.before, 'task')} {_do(known.before, 'come')} first."]


def _room(known: Known, now: float) -> list[str]:
    """Whether anything at all is started, and whether a worker is free."""
    daemon, limit = known.status["daemon"], known.status["limit"]
    if daemon["state"] == "held":
        return ["Nothing new is started at the moment:", *(f"  {line}" for line in conditions(daemon, now))]
    workers, busy = limit["workers"], limit["busy"]
    why = f" ({safe(limit['reason'])})" if limit.get("reason") else ""
    if known.why is not None:
        why = f" ({reasons.headline(workers, known.why['binding']).partition(': ')[2] or safe(limit['reason'])})"
    if workers == 0:
        allows = (known.why or {}).get("allows", [])
        words = next((one.get("words", "") for one in allows if one["binding"] == (known.why or {}).get("binding")), "")
        return [f"No worker may run: {safe(words)}." if words else f"No worker may run{why}."]
    if busy >= workers:
        who = "The one worker that may run now is" if workers == 1 else f"All {workers} workers that may run now are"
        return [f"{who} busy{why}; `grist explain` tells more."]
    there = figures.several(workers, "worker")
    return [f"{busy} of {there} that may run now {'is' if busy == 1 else 'are'} busy{why}."]


def _ahead(known: Known) -> list[str]:
    """Which jobs are served first, by the rule: priority, then the fewest running tasks, in turns."""
    me = known.job
    others = [job for job in known.status["jobs"] if job["id"] != me["id"] and job["state"] in SERVED and waiting(job)]
    mine = me.get("priority", 0)
    higher = [job for job in others if job.get("priority", 0) > mine]
    equals = [job for job in others if job.get("priority", 0) == mine]
    first = [job for job in equals if job.get("tasks_running", 0) < me.get("tasks_running", 0)
             or (job.get("tasks_running", 0) == me.get("tasks_running", 0) and job["id"] < me["id"])]  # fmt: skip
    lines = []
    if higher:
        lines.append(f"Ahead of it by priority: {_named(higher)}.")
    if equals:
        turn = f" {_named(first)} before it." if first else " its turn is next."
        takes = f"{_some(len(equals), 'job')} of its priority {_do(len(equals), 'take')} turns with it"
        lines.append(f"{takes}, the fewest running tasks first; as it stands,{turn}")
    return lines or ["No other job is ahead of it."]


def _some(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _do(number: int, verb: str) -> str:
    return verb if number != 1 else f"{verb}s"


def _named(jobs: list[Fields]) -> str:
    shown = ", ".join(f"{job['id']} {safe(job['name'])}" for job in jobs[:NAMED])
    return f"{'jobs' if len(jobs) > 1 else 'job'} {shown}" + (f" and {len(jobs) - NAMED} more" * (len(jobs) > NAMED))


def _need(known: Known) -> list[str]:
    """What one more task of it is taken to need against what is free, and where that figure comes from."""
    machine, job = known.status["machine"], known.job
    free = figures.size(machine["memory_available_bytes"])
    kind = next((kind for kind in (known.why or {}).get("kinds", [])
                 if kind["name"] == job["name"] and kind.get("command") in ("", job.get("command"))), None)  # fmt: skip
    need = (kind or {}).get("memory_need_bytes") or job.get("memory_need_bytes")
    if not need:
        return [f"What a task of it needs is not known yet: of a new kind one runs first. {free} of memory are free."]
    origin = f", {source(kind)}" if kind is not None else ""
    if kind is not None and kind.get("tasks_seen") and not kind.get("claimed"):
        origin += f" from {_some(kind['tasks_seen'], 'task')}"
    return [f"One more task of it is taken to need {figures.size(need)} of memory{origin}.",
            f"{free} are free; a reserve, and what running tasks may still grow by, is kept of that."]  # fmt: skip


def source(kind: Fields) -> str:
    """Where what is known of a kind comes from."""
    return reasons.source(bool(kind.get("claimed")), int(kind.get("tasks_seen", 0)))
