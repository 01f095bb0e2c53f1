"""`grist simulate`: when the queue will end, and what if."""

from __future__ import annotations

import json

from tests.mill import Mill


def test_it_says_when_jobs_begin_and_end_and_when_they_would(turning: Mill) -> None:
    assert turning.grist("simulate") == "nothing is queued\n"
    turning.grist("limit", "1")
    turning.drop("sweep.toml", 'command = "sleep 0.3"\nitems = { total = 1000, per_task = 1 }\n')
    turning.until(lambda: turning.job("sweep").get("items_done", 0) >= 3, "nothing ends")
    turning.grist("add", "--name", "report", "--after", "sweep", "--", "true")
    turning.grist("add", "--name", "never", "--after", "nobody", "--", "true")
    said = json.loads(turning.grist("simulate", "--limit", "4", "--faster", "sweep=2", "--without", "never", "--json"))
    now, then = ({job["name"]: job for job in said[when]["jobs"]} for when in ("now", "then"))
    assert said["now"]["workers"] == 1 and said["then"]["workers"] == 4
    assert 200 < now["sweep"]["end_s"] < 6000  # of 0.3 s each, and whatever a busy machine adds
    assert 7 < now["sweep"]["end_s"] / then["sweep"]["end_s"] < 9
    assert now["sweep"]["low_s"] < now["sweep"]["end_s"] < now["sweep"]["high_s"]
    assert "end_s" not in now["report"] or now["report"]["end_s"] is None
    assert now["report"]["why"] == "no task of it has ended yet"
    assert now["never"]["why"] and then["never"]["why"] == "left out"
    shown = turning.grist("simulate", "--limit", "2")
    assert "all of it" in shown and "no forecast has been tried yet" in shown


def test_it_answers_a_slip_with_a_line(turning: Mill) -> None:
    assert "no job" in turning.grist("simulate", "--without", "nobody", code=2).lower()
    assert "write a job and a number" in turning.grist("simulate", "--faster", "sweep=soon", code=2)
