"""Ranges that the daemon chooses, end to end: each item once, the bad one found, whoever is killed on the way."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from functools import partial
from typing import Any

from tests.mill import Mill

COUNTED = 'command = "seq {start} $(({start} + {count} - 1)) >> out.$GRIST_TASK.$GRIST_ATTEMPT; sleep 0.01"\n'


def items(mill: Mill) -> list[int]:
    """What tasks wrote down, in order; each into a file of its own, for seq writes block by block."""
    return sorted(int(item) for path in mill.base.glob("out.*") for item in path.read_text().split())


def got_on(mill: Mill, done: int) -> bool:
    return bool(mill.job("long").get("items_done", 0) >= done)


def rows(mill: Mill) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(mill.state / "queue.db")) as db:
        return db.execute("SELECT start, count, state, stands_for FROM tasks ORDER BY start").fetchall()


def test_a_hundred_thousand_items_run_once_each_and_are_one_row(turning: Mill) -> None:
    turning.drop_claimed("many.toml", COUNTED + "[items]\ntotal = 100_000\n")
    job = turning.ended("many")
    assert (job["state"], job["items_done"], job["items_failed"]) == ("done", 100_000, 0)
    assert items(turning) == list(range(100_000))
    assert rows(turning) == [(0, 100_000, "done", job["tasks"])]
    assert 5 < job["tasks"] < 500
    (task,) = turning.tasks("many")
    assert (task["start"], task["count"], task["stands_for"], task["exit_code"]) == (0, 100_000, job["tasks"], 0)


def test_the_bad_item_is_found_and_tried_as_the_job_says(turning: Mill) -> None:
    turning.drop_claimed("bad.toml", """command = '''
for i in $(seq {start} $(({start} + {count} - 1))); do
  if test $i = 377; then echo "377 is bad, attempt $GRIST_ATTEMPT"; exit 3; fi
done
seq {start} $(({start} + {count} - 1)) >> out.$GRIST_TASK.$GRIST_ATTEMPT'''
retry = { attempts = 2, backoff = "100ms" }
items = { total = 2_000, per_task = "auto" }
""")
    job = turning.ended("bad")
    assert (job["state"], job["items_done"], job["items_failed"]) == ("failed", 1_999, 1)
    assert items(turning) == [item for item in range(2_000) if item != 377]
    (task,) = turning.ask("tasks", job="bad", state="failed")["tasks"]
    assert (task["start"], task["count"], task["attempts"], task["exit_code"]) == (377, 1, 2, 3)
    assert turning.grist("log", task["id"]) == "377 is bad, attempt 2\n"
    assert "failed with exit code 3" in turning.grist("explain", task["id"])
    for path in turning.base.glob("out.*"):
        path.unlink()
    assert "1 task queued again" in turning.grist("retry", "bad")
    turning.until(lambda: turning.job("bad")["state"] == "failed" and turning.job("bad")["items_failed"], "not tried")
    assert not list(turning.base.glob("out.*")), "what was done was not done again"
    covered = [(start, start + count) for start, count, *_ in rows(turning)]
    assert covered == [(0, 377), (377, 378), (378, 2_000)]


def test_a_killed_daemon_loses_no_item_and_does_none_twice(mill: Mill) -> None:
    mill.start("--limit", "2")
    mill.drop_claimed("long.toml", COUNTED.replace("0.01", "0.2") + "[items]\ntotal = 3_000\n")
    for done in (1, 5, 21):
        mill.until(partial(got_on, mill, done), "it does not get on")
        mill.kill()
        mill.start("--limit", "2")
    job = mill.ended("long")
    assert (job["state"], job["items_done"]) == ("done", 3_000)
    assert items(mill) == list(range(3_000))
    assert [row[:3] for row in rows(mill)] == [(0, 3_000, "done")]


def test_tasks_of_chosen_ranges_are_listed_canceled_and_found(turning: Mill) -> None:
    turning.drop_claimed("mix.toml", """command = "test {start} -lt 2 && exit 0; echo here; exec sleep 1000"
[items]
total = 1_000
per_task = "auto"
""")
    running = turning.running("mix", 2)
    listed = turning.tasks("mix")
    assert sum(task["count"] for task in listed) == 1_000
    assert listed[0]["state"] == "done"
    assert [task["state"] for task in listed[-3:]] == ["running", "running", "queued"]
    assert turning.ask("tasks", job="mix", state="queued")["total"] == 1
    assert turning.grist("log", running[0]["id"]) == "here\n"
    assert "It has run" in turning.grist("explain", running[1]["id"])
    turning.grist("cancel", running[0]["id"])
    turning.until(lambda: turning.ask("tasks", job="mix", state="canceled")["total"] == 1, "it was not canceled")
    assert "no task" in turning.grist("cancel", "mix/999", code=2)
    turning.grist("cancel", "mix")
    job = turning.ended("mix")
    assert (job["state"], job["items_done"]) == ("canceled", listed[0]["count"])
    assert {task["state"] for task in turning.tasks("mix")} == {"done", "canceled"}
    assert sum(task["count"] for task in turning.tasks("mix")) == 1_000


def test_results_of_ranges_come_by_item_and_those_of_items_done_anew_replace_them(turning: Mill) -> None:
    turning.drop_claimed("give.toml", """command = '''
cat word && printf '[%s]' $(seq -s, {start} $(({start} + {count} - 1))) > $GRIST_RESULT'''
[items]
total = 500
per_task = "auto"
""")
    assert turning.ended("give")["state"] == "failed", "there is no file to read, in any of the ranges"
    (turning.base / "word").write_text("")
    turning.grist("retry", "give")
    turning.until(lambda: turning.job("give")["state"] == "done", "it is not mended")
    found = [json.loads(line) for line in turning.grist("results", "give", "--json").splitlines()]
    assert [(row["item"], row["result"]) for row in found] == [(item, item) for item in range(500)]
    turning.grist("retry", "--all", "give")
    turning.until(lambda: turning.job("give")["state"] == "done", "it does not run again")
    again = [json.loads(line) for line in turning.grist("results", "give", "--json").splitlines()]
    assert [(row["item"], row["result"]) for row in again] == [(item, item) for item in range(500)]


def test_a_program_that_is_not_there_fails_whole_ranges_rather_than_each_item(turning: Mill) -> None:
    (turning.base / "tool").write_text("#!/bin/sh\nsleep 0.1\n")
    (turning.base / "tool").chmod(0o755)
    turning.drop_claimed("gone.toml", 'command = ["./tool", "{start}", "{count}"]\n[items]\ntotal = 5_000\n')
    turning.until(lambda: turning.job("gone").get("items_done", 0) > 20, "it does not begin")
    (turning.base / "tool").unlink()
    job = turning.ended("gone")
    assert job["items_done"] + job["items_failed"] == 5_000
    failed = turning.ask("tasks", job="gone", state="failed")
    assert failed["total"] < 500, "ranges of ten items and more, however busy the machine was"
    assert "cannot start" in failed["tasks"][0]["reason"]


PACED = """command = "echo b $(date +%s.%N) {start} {count} >> trace; sleep $(awk 'BEGIN {{print {count} / 50}}')"
nice = 0
[items]
total = TOTAL
"""


def begun(mill: Mill) -> list[tuple[float, int, int]]:
    """When a range began, its first item and how many it has."""
    lines = [line.split() for line in (mill.base / "trace").read_text().splitlines()]
    return [(float(at), int(start), int(count)) for _, at, start, count in lines]


def stand_behind(mill: Mill, count: int) -> bool:
    """Whether so many ranges were sent to workers that have one in hand."""
    if not mill.job("paced"):
        return False
    tasks = partial(mill.ask, "tasks", job="paced", limit=0)
    return bool(tasks(state="running")["total"] == 2 and tasks(state="starting")["total"] == count)


def test_the_next_range_stands_behind_the_one_in_hand_and_makes_way_for_another_job(turning: Mill) -> None:
    turning.drop_claimed("paced.toml", PACED.replace("TOTAL", "5_000"))
    turning.until(lambda: stand_behind(turning, 2), "no range was sent ahead")
    turning.drop_claimed("other.toml", 'command = "date +%s.%N > other"\n')
    other = turning.ended("other")
    came = float((turning.base / "other").read_text())
    between = [at for at, *_ in begun(turning) if other["submitted_at"] < at < came]
    assert len(between) < 2, "what stood behind was begun by both workers before the other job"
    turning.until(lambda: stand_behind(turning, 2), "no range was sent ahead afterwards")
    turning.grist("cancel", "paced")
    before = len(begun(turning))
    assert turning.ended("paced")["state"] == "canceled"
    assert len(begun(turning)) <= before, "what stood behind has begun though the job was canceled"
    assert {task["state"] for task in turning.tasks("paced")} == {"done", "canceled"}


def test_ranges_that_stand_behind_others_are_done_once_whoever_is_killed(mill: Mill) -> None:
    mill.start("--limit", "2")
    mill.drop_claimed("paced.toml", PACED.replace("TOTAL", "400"))
    for _ in range(2):
        mill.until(lambda: stand_behind(mill, 2), "no range was sent ahead")
        mill.kill()
        mill.start("--limit", "2")
    job = mill.ended("paced")
    assert (job["state"], job["items_done"]) == ("done", 400)
    spans = sorted((start, start + count) for _, start, count in begun(mill))
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
