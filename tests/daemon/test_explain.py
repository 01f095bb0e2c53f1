"""`grist explain` on a real daemon: of a job that runs, of tasks that wait, of one that failed, and of the limit."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from gristmill.supervisor.core import figures
from gristmill.tui.app import MillApp
from tests.mill import Mill
from tests.tui.stage import Eye


def test_jobs_and_tasks_are_explained_while_they_wait_run_and_have_ended(turning: Mill) -> None:
    turning.drop_claimed("long.toml", 'command = "exec sleep 1000"\n[items]\ntotal = 5\nper_task = 1\n')
    turning.running("long", 2)
    turning.drop("late.toml", 'command = "true"\n')
    turning.until(lambda: turning.job("late"), "the second job is not in")
    job = turning.grist("explain", "long")
    assert "2 tasks of it run, 3 wait" in job
    assert "All 2 workers that may run now are busy" in job
    late = turning.grist("explain", "late")
    assert "It waits: 1 task, of which none runs" in late
    assert "1 job of its priority takes turns with it" in late
    assert "It has run for" in turning.grist("explain", "long/0")
    assert "Of its own job 1 task comes first." in turning.grist("explain", "long/3")
    assert "no task 'long/99'" in turning.grist("explain", "long/99", code=2)
    assert "no job 'nobody'" in turning.grist("explain", "nobody", code=2)
    told = json.loads(turning.grist("explain", "long/0", "--json"))
    assert (told["schema"], told["task"]["id"], told["job"]["name"]) == (1, f"{told['job']['id']}/0", "long")
    turning.grist("cancel", "long/0")
    turning.until(lambda: turning.tasks("long")[0]["state"] == "canceled", "it is not canceled")
    assert "It was canceled at " in turning.grist("explain", "long/0")


def test_a_failure_is_explained_by_its_exit_code(turning: Mill) -> None:
    turning.drop("bad.toml", 'command = "exit 3"\n')
    turning.ended("bad")
    assert "It has failed at " in turning.grist("explain", "bad")
    assert "It failed with exit code 3 at " in turning.grist("explain", "bad/0")


@pytest.mark.parametrize("way", ["echo ' 42%|####      |'", "echo 0.42 > $GRIST_PROGRESS"])
def test_of_a_task_that_tells_how_far_it_is_that_is_shown_with_what_it_promises(turning: Mill, way: str) -> None:
    turning.drop("said.toml", f'command = """{way}; exec sleep 1000"""\n')
    text = turning.until(lambda: turning.running("said") and "%" in (now := turning.grist("explain", "said/0")) and now,
                         "no progress is shown")  # fmt: skip
    assert re.search(r"^It says that it is 42 % done after \d+ s, about \d+ s left\.$", text, re.MULTILINE)
    task = json.loads(turning.grist("explain", "said/0", "--json"))["task"]
    assert task["progress"] == 0.42
    assert task["left_s"] == pytest.approx(task["ran_s"] * 58 / 42, rel=0.01)
    turning.grist("cancel", "said")
    turning.ended("said")
    task = json.loads(turning.grist("explain", "said/0", "--json"))["task"]
    assert (task["progress"], task["ran_s"], task["left_s"]) == (None, None, None)


def learned(mill: Mill, name: str) -> dict[str, Any]:
    """What the daemon has learned of a kind, {} while that is too little to say what one more needs."""
    found: dict[str, Any] = next((kind for kind in mill.ask("why")["kinds"] if kind["name"] == name), {})
    return found if found and found["wall_s"] and found["memory_need_bytes"] else {}


def test_without_an_id_the_limit_is_explained_and_the_screen_says_the_same(turning: Mill) -> None:
    turning.drop("brief.toml", 'command = "sleep 0.2"\n[items]\ntotal = 400\nper_task = 1\n')
    kind = turning.until(lambda: learned(turning, "brief"), "nothing was learned of the tasks that ended")
    assert kind["tasks_seen"] > 0
    assert kind["running"] + kind["waiting"] > 0
    assert 0.2 <= kind["wall_s"] < 10
    assert not kind["claimed"]
    text = turning.grist("explain")
    assert text.startswith("2 workers: set by the user (fixed, ")
    assert "<< binding" in text
    told = json.loads(turning.grist("explain", "--json"))
    assert told["schema"] == 1
    assert told["limit"]["workers"] == 2
    assert told["binding"] == "user"
    assert {one["binding"] for one in told["allows"]} >= {"cpu", "memory", "user"}


def test_of_kinds_that_neither_run_nor_wait_it_is_told_what_was_learned_and_claimed(turning: Mill) -> None:
    turning.drop("over.toml", 'command = "sleep 0.2"\n[items]\ntotal = 4\nper_task = 1\n')
    turning.drop_claimed("said.toml", 'command = "sleep 0.2"\n[items]\ntotal = 20\nper_task = 1\n')
    turning.ended("over")
    turning.ended("said")
    turning.until(lambda: not any(one["running"] or one["waiting"] for one in turning.ask("why")["kinds"]),
                  "it is not seen that they have ended")  # fmt: skip
    kind = learned(turning, "over")
    assert kind["tasks_seen"] == 4
    assert 0 < kind["memory_need_bytes"] <= 2 * kind["memory_peak_bytes"]
    rows = {row.split()[0]: row.split() for row in turning.grist("explain").splitlines() if row}
    assert rows["over"][-2:] == [figures.size(kind["memory_need_bytes"]), "learned"]
    assert rows["said"][-2:] == ["4.0M", "claimed"]


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80x24", "160x45"])
async def test_the_screen_shows_it_too(turning: Mill, size: tuple[int, int]) -> None:
    app = MillApp(str(turning.state / "socket"), str(turning.jobs))
    async with app.run_test(size=size) as pilot:
        eye = Eye(app, pilot)
        await eye.sees("● live", "limit 2")
        await eye.press("2")
        await eye.sees("2 workers: set by the user", "<< binding", "History")
