"""`grist events`: what happened, and what happens, one JSON object a line."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.cli import events
from gristmill.supervisor.core.errors import GristError
from tests.mill import DEADLINE, Mill

JOB = 'command = "exit {index}"\n[items]\ntotal = 2\nper_task = 1\n'


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    with Mill(tmp_path) as made:
        made.start("--limit", "1")
        yield made


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_job_and_its_tasks_are_told_from_its_coming_to_its_end(mill: Mill) -> None:
    mill.drop_claimed("two.toml", JOB)
    mill.ended("two")
    told = lines(mill.grist("events"))
    assert told[0]["event"] == "daemon" and told[0]["state"] == "started"
    jobs = [event["state"] for event in told if event["event"] == "job"]
    assert (jobs[0], jobs[-1]) == ("queued", "failed")
    last = [event for event in told if event["event"] == "job"][-1]
    assert (last["name"], last["items_done"], last["items_failed"]) == ("two", 1, 1)
    ends = {event["id"]: event for event in told if event["event"] == "task" and event["ended_at"]}
    assert {name: (task["state"], task["exit_code"]) for name, task in ends.items()} == {
        "1/0": ("done", 0), "1/1": ("failed", 1)
    }
    assert [event["seq"] for event in told] == sorted(event["seq"] for event in told)
    assert {event["event"] for event in lines(mill.grist("events", "--only", "job"))} == {"job"}
    assert lines(mill.grist("events", "--since", str(told[-1]["time"] + 1000))) == []


def test_who_follows_hears_of_everything_as_it_happens_until_the_daemon_goes(mill: Mill) -> None:
    with mill.spawn("events", "--follow", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "daemon"
        mill.drop("one.toml", 'command = "true"\n')
        seen: list[dict[str, Any]] = []
        while not (seen and seen[-1]["event"] == "job" and seen[-1]["state"] == "done"):
            seen.append(json.loads(process.stdout.readline()))
        mill.grist("pause")
        while (told := json.loads(process.stdout.readline())).get("kind") != "pause":
            pass
        assert (told["event"], told["state"]) == ("condition", "began")
        mill.kill(signal.SIGKILL)
        assert process.wait(DEADLINE) == 3


@pytest.mark.parametrize(
    ("text", "then"),
    [("30m", 1e9 - 1800), ("1d12h", 1e9 - 129600), ("1795903200", 1795903200.0), ("1795903200.5", 1795903200.5)],
)
def test_a_time_is_a_span_before_now_or_seconds(text: str, then: float) -> None:
    assert events.moment(text, 1e9) == then


def test_a_time_is_a_date_or_nothing() -> None:
    assert events.moment("2026-11-28T22:00:00+00:00", 1e9) == 1795903200.0
    with pytest.raises(GristError, match="say 30m"):
        events.moment("yesterday", 1e9)
