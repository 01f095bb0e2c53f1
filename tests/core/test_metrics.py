"""Figures for Prometheus: each with its meaning, told once, in a form that its own parser reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.core import metrics
from gristmill.supervisor.core.metrics import METRICS, Sample

COUNTERS = {
    "started": 9, "tasks": {"done": 7, "failed": 1}, "jobs": {"done": 2}, "task_cpu_s": 3.25, "task_wall_s": 60.0,
    "cpu_s": 1.5, "resident_bytes": 45_000_000,
}


def job(number: int, state: str, name: str = "sweep") -> dict[str, Any]:
    return {"id": number, "name": name, "state": state, "items": 60, "items_done": 50, "items_failed": 4,
            "tasks_running": 2, "eta_s": 12.34 if state == "running" else None}  # fmt: skip


def status(*jobs: dict[str, Any]) -> dict[str, Any]:
    return {
        "daemon": {"version": "1.0", "uptime_s": 100.0, "state": "held", "jobs_dir": "/home/ann/jobs",
                   "conditions": [{"kind": "disk", "holds": True}, {"kind": "socket", "holds": False}]},
        "limit": {"workers": 4, "busy": 2, "mode": "auto"},
        "machine": {"cores": 8, "cpu_percent": 50.0, "cpu_ours_percent": 25.0, "memory_total_bytes": 16 << 30,
                    "memory_available_bytes": 4 << 30, "memory_ours_bytes": 1 << 30, "disk_free_bytes": 5},
        "jobs": list(jobs),
    }  # fmt: skip


def told(*jobs: dict[str, Any]) -> str:
    return metrics.text("/home/ann/jobs", metrics.of_status(status(*jobs), COUNTERS, 1000.0))


def test_every_metric_of_the_table_is_told_with_its_meaning_and_type() -> None:
    text = told(job(1, "running"))
    for name, metric in METRICS.items():
        assert f"# HELP {name} {metric.help}\n# TYPE {name} {metric.type}\n{name}{{jobs=" in text, name
        assert name.endswith("_total") == (metric.type == "counter"), name


def test_the_figures_are_those_of_the_daemon() -> None:
    lines = told(job(1, "done"), job(2, "running"), job(3, "queued"), job(4, "queued")).splitlines()
    for line in (
        'gristmill_up{jobs="/home/ann/jobs"} 1', 'gristmill_start_time_seconds{jobs="/home/ann/jobs"} 900',
        'gristmill_condition{jobs="/home/ann/jobs",kind="disk",holds="yes"} 1',
        'gristmill_jobs{jobs="/home/ann/jobs",state="queued"} 2', 'gristmill_items_left{jobs="/home/ann/jobs"} 18',
        'gristmill_job_left_seconds{jobs="/home/ann/jobs",id="2",name="sweep"} 12.3',
        'gristmill_tasks_ended_total{jobs="/home/ann/jobs",state="failed"} 1',
        'gristmill_machine_cpu_ours_ratio{jobs="/home/ann/jobs"} 0.25',
    ):
        assert line in lines
    assert not any('id="1"' in line for line in lines)  # it is over


def test_many_jobs_are_no_flood_of_series() -> None:
    text = told(*(job(number, "queued") for number in range(1000)))
    assert text.count("gristmill_job_items{") == metrics.JOBS_MOST
    assert 'gristmill_jobs{jobs="/home/ann/jobs",state="queued"} 1000' in text
    far = metrics.text("/x", metrics.of_status({**status(job(1, "queued")), "jobs_more": 96_000}, COUNTERS, 1000.0))
    assert 'gristmill_jobs{jobs="/x",state="queued"} 96001' in far


def test_odd_names_break_no_line() -> None:
    name = 'a"b\\c\nd\udc80'
    line = metrics.text("/x", [Sample("gristmill_job_items", 1, ("1", name))]).splitlines()[2]
    assert line == r'gristmill_job_items{jobs="/x",id="1",name="a\"b\\c\nd\\udc80"} 1'


def test_prometheus_own_parser_reads_it() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    found = list(parser.text_string_to_metric_families(told(job(1, "running", 'odd "name"\\'), job(2, "held"))))
    assert {sample.name for family in found for sample in family.samples} == set(METRICS)
    assert {family.type for family in found} == {"gauge", "counter"}


def test_the_reference_names_every_metric() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    assert set(re.findall(r"^\| `(gristmill_\w+)", text, re.MULTILINE)) == set(METRICS)
