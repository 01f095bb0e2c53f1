"""The progress lines of `grist up` where there is no terminal, from literal updates and a clock of our own."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill.supervisor.cli.progress import Progress


class Follower:
    """Somebody who reads the lines of a run, second by second."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys, self.now = capsys, 1000.0
        self.progress = Progress(lambda: self.now)

    def sees(self, seconds: float, state: str = "running", done: int = 0, **told: Any) -> list[str]:
        """Lines that come with an update so many seconds after the one before."""
        self.now += seconds
        self.progress.take({
            "daemon": {"state": told.get("daemon", "ok"), "reason": told.get("held", "")},
            "limit": {"busy": told.get("busy", 2), "workers": 2, "reason": told.get("reason", "cpu: 0.95 cores")},
            "machine": {"cpu_percent": told.get("cpu", 98.0)},
            "jobs": [{"id": 1, "state": state, "items": 9, "items_done": done, "items_failed": 0, "submitted_at": 1.0,
                      "eta_s": told.get("eta", 40.0), "ended_at": 5.0 if state == "done" else None}],
        })  # fmt: skip
        return self.capsys.readouterr().out.splitlines()


@pytest.fixture
def follower(capsys: pytest.CaptureFixture[str]) -> Follower:
    return Follower(capsys)


def test_the_first_update_is_told(follower: Follower) -> None:
    assert follower.sees(0) == ["0 of 1 jobs, 0 of 9 items, 2 of 2 workers, CPU 98 %, ~40s left – cpu: 0.95 cores"]


def test_what_happens_is_told_and_figures_that_never_stand_still_are_not(follower: Follower) -> None:
    assert follower.sees(0)
    assert follower.sees(1, cpu=50.0, eta=39.0, reason="cpu: 0.96 cores") == []
    assert "1 of 9 items" in follower.sees(1, done=1)[0]
    assert follower.sees(1, done=1) == []
    assert "1 of 2 workers" in follower.sees(1, done=1, busy=1)[0]
    assert follower.sees(1, done=1, busy=1, reason="memory: 1 GB is free")[0].endswith("memory: 1 GB is free")
    assert follower.sees(1, done=1, busy=1, daemon="held", held="disk: full")[0].endswith("held: disk: full")
    assert "1 of 1 jobs" in follower.sees(1, state="done", done=9)[0]


def test_a_run_that_is_over_is_told_at_once_and_once(follower: Follower) -> None:
    assert follower.sees(0)
    assert "1 of 1 jobs, 9 of 9 items" in follower.sees(0.1, state="done", done=9)[0]
    assert [follower.sees(1, state="done", done=9) for _ in range(50)] == [[]] * 50


def test_more_than_one_line_a_second_is_never_told_and_nothing_is_lost_by_that(follower: Follower) -> None:
    assert follower.sees(0)
    assert follower.sees(0.25, done=1) == []
    assert follower.sees(0.25, done=2) == []
    assert follower.sees(0.25, done=2) == []
    assert "2 of 9 items" in follower.sees(0.25, done=2)[0]


def test_a_line_a_minute_says_that_it_lives(follower: Follower) -> None:
    assert [len(follower.sees(1)) for _ in range(181)] == ([1] + [0] * 59) * 3 + [1]
