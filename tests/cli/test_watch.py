"""`grist status --watch`: plain lines for what changes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from gristmill.supervisor.cli.watching import Watch, sentence
from tests.mill import Mill


def update(time: float, *jobs: dict[str, Any], event: str = "delta", **daemon: Any) -> dict[str, Any]:
    return {"event": event, "time": time, "daemon": {"state": "ok", "reason": ""} | daemon, "jobs": list(jobs),
            "limit": {"workers": 2, "reason": "cores: 2"}}  # fmt: skip


def job(**fields: Any) -> dict[str, Any]:
    return {"id": 4, "name": "sweep", "state": "running", "items": 40, "items_done": 15, "reason": ""} | fields


def said(watch: Watch, one: dict[str, Any]) -> list[str]:
    return [line.partition(" ")[2] for line in watch.lines(one)]


def test_a_job_that_goes_on_has_a_line_now_and_then_and_a_new_state_at_once() -> None:
    watch = Watch()
    assert said(watch, update(0, job())) == [
        "daemon ok; 2 workers: cores: 2", "job 4 sweep: running, 15 of 40 items done"]
    assert said(watch, update(1, job(items_done=16))) == []
    assert said(watch, update(12, job(items_done=17))) == ["job 4 sweep: running, 17 of 40 items done"]
    assert said(watch, update(30, job(items_done=17))) == []
    over = job(items_done=17, items_failed=23, state="failed", reason="23 of 40 items failed")
    assert said(watch, update(31, over)) == [
        "job 4 sweep: failed, 17 of 40 items done, 23 failed. Why: 23 of 40 items failed"]


def test_what_was_over_before_is_not_told_and_other_jobs_are_not() -> None:
    watch = Watch("sweep")
    lines = said(watch, update(0, job(id=1, state="done", ended_at=5.0), job(name="other"), job(), event="snapshot"))
    assert lines[1:] == ["job 4 sweep: running, 15 of 40 items done"]


def test_a_held_daemon_is_told_and_foreign_text_is_safe() -> None:
    watch = Watch()
    lines = said(watch, update(0, job(name="x\x1b[2J", reason="\x1b]52;c;x\x07"), state="held", reason="disk: full"))
    assert lines == ["daemon held: disk: full; 2 workers: cores: 2",
                     "job 4 x^[[2J: running, 15 of 40 items done. Why: ^[]52;c;x^G"]  # fmt: skip


def test_time_left_is_said_in_words() -> None:
    assert sentence(job(eta_s=2880)) == "job 4 sweep: running, 15 of 40 items done, about 48m left"


def test_it_follows_a_job_from_its_drop_to_its_end_over_a_daemon_that_comes_later(tmp_path: Path) -> None:
    with Mill(tmp_path) as mill:
        watcher = mill.spawn("status", "--watch", stdout=subprocess.PIPE)
        assert watcher.stdout is not None
        try:
            assert "no daemon runs for this jobs folder" in watcher.stdout.readline()
            mill.start("--limit", "2")
            assert "daemon ok; " in watcher.stdout.readline()
            mill.drop("some.toml", 'command = "exit 3"\n')
            while "some: failed, 0 of 1 items done, 1 failed" not in (line := watcher.stdout.readline()):
                assert line, "it ended before the job did"
        finally:
            watcher.kill()
            watcher.wait()
            watcher.stdout.close()
