"""What the daemon measures of itself, as Prometheus reads it (text format 0.0.4).

Owns the table of metrics: name, type, meaning. Every sample has the label `jobs`, the jobs folder, so that several
daemons of one machine can be told apart. Of single jobs only those are told that are not over, and no more than
JOBS_MOST, as each costs Prometheus a series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gristmill.supervisor.core.sanitise import encodable

JOBS_MOST = 100
OVER = ("done", "failed", "canceled")


class Metric(NamedTuple):
    """A metric: its type (`gauge`, `counter`), what it means, and its own labels."""

    type: str
    help: str
    labels: tuple[str, ...] = ()


class Sample(NamedTuple):
    """One value of a metric; `labels` are the values of its own labels, in their order."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


METRICS: dict[str, Metric] = {
    "gristmill_up": Metric("gauge", "1 where the daemon answers, 0 where it does not."),
    "gristmill_build_info": Metric("gauge", "1, with the version of the daemon.", ("version",)),
    "gristmill_start_time_seconds": Metric("gauge", "When the daemon was started, seconds since the epoch."),
    "gristmill_resident_bytes": Metric("gauge", "Memory of the daemon process."),
    "gristmill_cpu_seconds_total": Metric("counter", "CPU time of the daemon process."),
    "gristmill_held": Metric("gauge", "1 while something holds new tasks back."),
    "gristmill_condition": Metric("gauge", "1 for each thing that is wrong now.", ("kind", "holds")),
    "gristmill_workers_limit": Metric("gauge", "Workers that may be busy now."),
    "gristmill_workers_busy": Metric("gauge", "Workers that are busy."),
    "gristmill_limit_fixed": Metric("gauge", "1 where the limit was set by the user, 0 where it is found."),
    "gristmill_jobs": Metric("gauge", "Jobs that are not over, by state.", ("state",)),
    "gristmill_items_left": Metric("gauge", "Items of jobs near their turn that have not ended."),
    "gristmill_job_items": Metric("gauge", "Items of a job that is not over.", ("id", "name")),
    "gristmill_job_items_done": Metric("gauge", "Those that ended well.", ("id", "name")),
    "gristmill_job_items_failed": Metric("gauge", "Those that ended otherwise.", ("id", "name")),
    "gristmill_job_tasks_running": Metric("gauge", "Tasks of a job that run.", ("id", "name")),
    "gristmill_job_left_seconds": Metric("gauge", "Time that it will still take, where that is known.", ("id", "name")),
    "gristmill_jobs_ended_total": Metric("counter", "Jobs that ended since the daemon began, by state.", ("state",)),
    "gristmill_task_attempts_total": Metric("counter", "Tasks that were sent to workers since the daemon began."),
    "gristmill_tasks_ended_total": Metric("counter", "Tasks that ended since the daemon began, by state.", ("state",)),
    "gristmill_task_cpu_seconds_total": Metric("counter", "CPU time of those tasks."),
    "gristmill_task_wall_seconds_total": Metric("counter", "Time that those tasks took."),
    "gristmill_machine_cores": Metric("gauge", "Cores that may be used."),
    "gristmill_machine_cpu_ratio": Metric("gauge", "Part of them in use, 0 to 1."),
    "gristmill_machine_cpu_ours_ratio": Metric("gauge", "Part of them that tasks and daemon use, 0 to 1."),
    "gristmill_machine_memory_bytes": Metric("gauge", "Memory that may be used."),
    "gristmill_machine_memory_available_bytes": Metric("gauge", "Memory that is free for new tasks."),
    "gristmill_machine_memory_ours_bytes": Metric("gauge", "Memory that tasks hold."),
    "gristmill_disk_free_bytes": Metric("gauge", "Free where the state folder lies."),
}


def text(jobs: str, samples: Iterable[Sample]) -> str:
    """The samples by metric, each with its meaning and type before it; `jobs` is the jobs folder."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.name, []).append(sample)
    lines: list[str] = []
    for name, metric in METRICS.items():
        if name in found:
            lines += (f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.type}")
            lines += (_line(jobs, metric, sample) for sample in found[name])
    return "\n".join(lines) + "\n"


def of_status(status: Mapping[str, Any], counters: Mapping[str, Any], now: float) -> Iterator[Sample]:
    """The samples of a daemon that answers: its `status`, and its `counters`."""
    daemon, limit, machine = status["daemon"], status["limit"], status["machine"]
    yield Sample("gristmill_up", 1)
    yield Sample("gristmill_build_info", 1, (daemon["version"],))
    yield Sample("gristmill_start_time_seconds", round(now - daemon["uptime_s"]))
    yield Sample("gristmill_resident_bytes", counters["resident_bytes"])
    yield Sample("gristmill_cpu_seconds_total", counters["cpu_s"])
    yield Sample("gristmill_held", daemon["state"] == "held")
    for one in daemon["conditions"]:
        yield Sample("gristmill_condition", 1, (one["kind"], "yes" if one["holds"] else "no"))
    yield Sample("gristmill_workers_limit", limit["workers"])
    yield Sample("gristmill_workers_busy", limit["busy"])
    yield Sample("gristmill_limit_fixed", limit["mode"] == "fixed")
    yield from _jobs([job for job in status["jobs"] if job["state"] not in OVER], status.get("jobs_more", 0))
    for state, count in sorted(counters["jobs"].items()):
        yield Sample("gristmill_jobs_ended_total", count, (state,))
    yield Sample("gristmill_task_attempts_total", counters["started"])
    for state, count in sorted(counters["tasks"].items()):
        yield Sample("gristmill_tasks_ended_total", count, (state,))
    yield Sample("gristmill_task_cpu_seconds_total", counters["task_cpu_s"])
    yield Sample("gristmill_task_wall_seconds_total", counters["task_wall_s"])
    yield Sample("gristmill_machine_cores", machine["cores"])
    yield Sample("gristmill_machine_cpu_ratio", machine["cpu_percent"] / 100)
    yield Sample("gristmill_machine_cpu_ours_ratio", machine["cpu_ours_percent"] / 100)
    yield Sample("gristmill_machine_memory_bytes", machine["memory_total_bytes"])
    yield Sample("gristmill_machine_memory_available_bytes", machine["memory_available_bytes"])
    yield Sample("gristmill_machine_memory_ours_bytes", machine["memory_ours_bytes"])
    yield Sample("gristmill_disk_free_bytes", machine["disk_free_bytes"])


def _jobs(jobs: list[Mapping[str, Any]], more: int) -> Iterator[Sample]:
    """Of these jobs, and of so many more that wait far from their turn."""
    states: dict[str, int] = {"queued": more} if more else {}
    for job in jobs:
        states[job["state"]] = states.get(job["state"], 0) + 1
    for state, count in sorted(states.items()):
        yield Sample("gristmill_jobs", count, (state,))
    yield Sample("gristmill_items_left", sum(job["items"] - job["items_done"] - job["items_failed"] for job in jobs))
    for job in jobs[:JOBS_MOST]:
        labels = (str(job["id"]), job["name"])
        for key in ("items", "items_done", "items_failed", "tasks_running"):
            yield Sample(f"gristmill_job_{key}", job[key], labels)
        if job["eta_s"] is not None:
            yield Sample("gristmill_job_left_seconds", round(job["eta_s"], 1), labels)


def _line(jobs: str, metric: Metric, sample: Sample) -> str:
    labels = zip(("jobs", *metric.labels), (jobs, *sample.labels), strict=True)
    inner = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels)
    value = float(sample.value)
    return f"{sample.name}{{{inner}}} {int(value) if value.is_integer() else value!r}"


def _escaped(value: str) -> str:
    return encodable(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
