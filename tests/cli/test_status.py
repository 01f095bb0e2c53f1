"""What `grist status` prints of faults, of jobs and of the ends of tasks."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill.supervisor.cli.progress import line
from gristmill.supervisor.cli.status import MARKS, conditions, show_jobs, show_tasks
from gristmill.supervisor.core.figures import lasting
from gristmill.supervisor.core.task import JobState, TaskState

NOW = 1_800_000_000.0


def answer(**daemon: Any) -> dict[str, Any]:
    """What the daemon answers with no jobs."""
    values = {"state": "ok", "pid": 7, "uptime_s": 61, "jobs_dir": "/data/jobs", "reason": "", "conditions": []}
    machine = {"cpu_percent": 3.0, "cores": 8, "memory_available_bytes": 1 << 30, "memory_total_bytes": 4 << 30}
    return {"daemon": values | daemon, "limit": {"busy": 0, "workers": 8, "reason": "idle"}, "machine": machine,
            "jobs": []}  # fmt: skip


def condition(kind: str, reason: str, age_s: float, holds: bool) -> dict[str, Any]:
    return {"kind": kind, "reason": reason, "since": NOW - age_s, "holds": holds}


def test_each_condition_has_a_line_with_sign_word_reason_and_age(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [condition("disk", "disk: 3 MB are free – free some space", 185, holds=True),
             condition("clock", "it went back\x1b[2J one day", 7300, holds=False)]  # fmt: skip
    show_jobs(answer(state="held", reason="disk: 3 MB are free", conditions=wrong), NOW)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [
        "◌ HELD  disk: 3 MB are free – free some space (for 3 min)",
        "! NOTE  clock: it went back^[[2J one day (for 2 h 01 min)",
    ]


def test_nothing_wrong_is_no_line_and_an_older_daemon_is_understood() -> None:
    assert conditions({"state": "ok", "reason": ""}, NOW) == []
    assert conditions({"state": "held", "reason": "disk full"}, NOW) == ["◌ HELD  disk full"]


@pytest.mark.parametrize(("seconds", "words"), [
    (-86400, "for 0 s"), (59.9, "for 59 s"), (60, "for 1 min"), (3600, "for 1 h 00 min"), (90_000, "for 1 d"),
])  # fmt: skip
def test_ages(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def test_every_state_has_a_sign_and_a_word() -> None:
    assert {str(state) for state in (*TaskState, *JobState)} <= set(MARKS)
    assert len(set(MARKS.values())) == len(MARKS)


def test_how_tasks_were_lost_is_said_in_their_list(capsys: pytest.CaptureFixture[str]) -> None:
    job = {"id": 4, "name": "sweep", "state": "failed", "items": 3, "items_done": 0, "items_failed": 3, "reason": ""}
    reasons = {"lost": "its worker was killed", "oom": "killed for memory", "interrupted": "the machine was restarted"}
    tasks = [
        {"id": f"4/{number}", "state": state, "start": number, "count": 1, "attempts": 1, "exit_code": None,
         "cpu_s": None, "signal": None, "started_at": NOW - 60, "ended_at": NOW, "memory_peak_bytes": None,
         "reason": reason}
        for number, (state, reason) in enumerate(reasons.items())
    ]  # fmt: skip
    show_tasks({"job": job, "tasks": tasks}, NOW)
    out = capsys.readouterr().out
    for word, (state, reason) in zip(("?", "✗", "!"), reasons.items(), strict=True):
        assert any(f"{word} {state}" in row and row.endswith(reason) for row in out.splitlines())


def test_the_live_line_says_that_work_is_held() -> None:
    update = answer(state="held", reason="disk: 3 MB are free")
    assert line(update, {}).endswith("– held: disk: 3 MB are free")
    assert line(answer(), {}).endswith("– idle")
