"""What a user directs: hold, release, priority, pause, start, kill; each holds across a killed daemon."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core.errors import GristError
from tests.mill import Mill

FIVE = 'command = "echo {index} >> out; exec sleep 0.05"\n[items]\ntotal = 5\nper_task = 1\n'


def test_a_held_job_starts_nothing_more_across_a_killed_daemon_until_it_is_released(turning: Mill) -> None:
    turning.drop_claimed("some.toml", 'command = "test -e go || exec sleep 1000; echo {index} >> out"\n'
                         "[items]\ntotal = 4\nper_task = 1\n")
    turning.running("some", 2)
    assert "held; 2 running tasks go on" in turning.grist("hold", "some")
    assert turning.job("some")["state"] == "held"
    assert "is held already" in turning.grist("hold", "some")
    turning.kill()
    turning.start("--limit", "4")
    assert (turning.job("some")["state"], turning.job("some")["reason"]) == ("held", "held by the user")
    (turning.base / "go").touch()
    turning.grist("cancel", "some/0", "some/1")
    turning.drop_claimed("other.toml", FIVE)
    turning.ended("other")
    assert [task["state"] for task in turning.tasks("some")] == ["canceled", "canceled", "queued", "queued"]
    assert "released" in turning.grist("release", "some")
    turning.ended("some")
    assert [task["state"] for task in turning.tasks("some")][2:] == ["done", "done"]


def test_a_job_whose_last_task_ends_while_it_is_held_ends(turning: Mill) -> None:
    turning.drop("tail.toml", 'command = "until test -e go; do sleep 0.02; done"\n')
    turning.running("tail")
    turning.grist("hold", "tail")
    (turning.base / "go").touch()
    assert turning.ended("tail")["state"] == "done"
    assert "has ended already" in turning.grist("release", "tail", code=2)


def test_the_finally_step_of_a_held_job_waits_for_its_release(turning: Mill) -> None:
    turning.drop("tail.toml", 'command = "until test -e go; do sleep 0.02; done"\n[finally]\ncommand = "echo over"\n')
    turning.running("tail")
    turning.grist("hold", "tail")
    (turning.base / "go").touch()
    turning.until(lambda: turning.job("tail")["items_done"] == 1, "the task has not ended")
    turning.drop("other.toml", FIVE)
    turning.ended("other")
    assert turning.job("tail")["state"] == "held"
    turning.grist("release", "tail")
    assert turning.ended("tail")["state"] == "done"
    assert turning.tasks("tail")[1]["state"] == "done"


def test_a_held_job_can_be_canceled(turning: Mill) -> None:
    turning.grist("limit", "0")
    turning.drop("some.toml", FIVE)
    turning.until(lambda: turning.job("some"), "not accepted")
    turning.grist("hold", "some")
    turning.grist("cancel", "some/3")
    turning.grist("cancel", "some")
    assert turning.ended("some")["state"] == "canceled"


def test_a_raised_priority_puts_a_job_first_and_outlives_the_daemon(turning: Mill) -> None:
    turning.grist("limit", "0")
    for name in ("one", "two"):
        turning.drop(f"{name}.toml", f'command = "echo {name} >> order"\n')
        turning.until(lambda name=name: turning.job(name), "not accepted")  # type: ignore[misc]
    assert "priority 0 → 3" in turning.grist("priority", "3", "two")
    assert "priority 3 → 2" in turning.grist("priority", "-1", "two")
    assert "priority 0 → -5" in turning.grist("priority", "=-5", "one")
    assert "no whole number" in turning.grist("priority", "high", "two", code=2)
    turning.kill()
    turning.start("--limit", "1")
    turning.ended("one")
    turning.ended("two")
    assert (turning.base / "order").read_text().split() == ["two", "one"]
    assert turning.job("two")["priority"] == 2


def test_pause_starts_nothing_of_any_job_and_outlives_the_daemon(turning: Mill) -> None:
    assert "nothing was paused" in turning.grist("start")
    assert "nothing new is started" in turning.grist("pause")
    turning.kill()
    turning.start("--limit", "2")
    turning.drop("some.toml", FIVE)
    turning.until(lambda: turning.job("some"), "not accepted")
    daemon = turning.ask("status")["daemon"]
    assert (daemon["state"], daemon["conditions"][0]["kind"]) == ("held", "pause")
    assert "paused by the user" in turning.grist("status")
    turning.after(0.3)
    assert turning.job("some")["state"] == "queued"
    assert "started again" in turning.grist("start")
    assert turning.ended("some")["state"] == "done"
    assert turning.ask("status")["daemon"]["state"] == "ok"


def test_kill_waits_for_no_long_grace(turning: Mill) -> None:
    deaf = "trap '' TERM; echo deaf; while true; do sleep 0.1; done"
    turning.drop("deaf.toml", f'command = "{deaf}"\ngrace = "10m"\n')
    turning.running("deaf")
    turning.until(lambda: "deaf" in turning.grist("log", "deaf"), "the trap is not set")
    turning.grist("cancel", "deaf")
    assert "1 running task killed" in turning.grist("cancel", "--kill", "deaf")
    assert turning.ended("deaf")["state"] == "canceled"


@pytest.mark.parametrize(("op", "fields", "said"), [
    ("hold", {"ids": ["some/1"]}, "is a task – hold its job"), ("release", {"ids": ["some"]}, "is not held"),
    ("priority", {"ids": ["some"], "to": "5"}, "a whole number"), ("priority", {"ids": ["some"]}, "a whole number"),
    ("priority", {"ids": ["some"], "by": 10**9}, "from -1000000 to 1000000"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_in_words(turning: Mill, op: str, fields: dict[str, object], said: str) -> None:
    turning.grist("limit", "0")
    turning.drop("some.toml", FIVE)
    turning.until(lambda: turning.job("some"), "not accepted")
    with pytest.raises(GristError, match=said):
        turning.ask(op, **fields)
