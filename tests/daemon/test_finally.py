"""The step that runs when all tasks have ended: once, with all results, whoever dies on the way."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.mill import Mill

SUM = """
[finally]
command = '''
python3 -c "
import json, os, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
print(os.environ['GRIST_ITEMS_DONE'], os.environ['GRIST_ITEMS_FAILED'], sum(row['result'] for row in rows))
open(os.environ['GRIST_RESULT'], 'w').write(json.dumps(len(rows)))
open('summed', 'a').write('once ')
" {results}'''
"""
GIVE = 'command = "test {index} != 3 -o -e mended && echo {index} > $GRIST_RESULT"\n[items]\ntotal = 6\n'


def last_task(mill: Mill, name: str) -> dict[str, Any]:
    found: dict[str, Any] = mill.tasks(name)[-1]
    assert found["count"] == 0
    return found


def test_it_gets_all_results_once_all_tasks_have_ended_whatever_came_of_them(turning: Mill) -> None:
    turning.drop_claimed("give.toml", GIVE + SUM)
    job = turning.ended("give")
    assert (job["state"], job["items_done"], job["items_failed"], job["tasks"]) == ("failed", 5, 1, 7)
    last = last_task(turning, "give")
    assert (last["state"], last["id"]) == ("done", f"{job['id']}/6")
    assert turning.grist("log", last["id"]) == "5 1 12\n"
    assert turning.ask("results", job="give", after=5)["finally"] == 5
    assert len(turning.grist("results", "give").splitlines()) == 5, "what the step gave is no item's"
    assert "finally" in turning.grist("status", "give").splitlines()[-1]
    (turning.base / "mended").touch()
    assert "1 task queued again" in turning.grist("retry", "give")
    turning.until(lambda: turning.job("give")["state"] == "done", "it is not mended")
    assert turning.grist("log", last["id"]) == "6 0 15\n"
    assert (turning.base / "summed").read_text() == "once once "
    assert turning.ask("results", job="give", after=5)["finally"] == 6


def test_a_job_waits_for_it_and_fails_with_it_and_it_can_be_retried_alone(turning: Mill) -> None:
    turning.drop_claimed("fails.toml", """command = "echo {index} >> items"
items = { total = 3 }
[finally]
command = "while ! test -e go; do sleep 0.05; done; echo {results} >> tried; test -e mended"
""")
    turning.until(lambda: turning.job("fails").get("items_done") == 3, "the items are not done")
    turning.until(lambda: last_task(turning, "fails")["state"] == "running", "it does not begin")
    job = turning.job("fails")
    assert (job["state"], job["ended_at"]) == ("running", None)
    assert job["reason"] == "all items have ended; its [finally] step runs"
    assert "[finally]" in turning.grist("explain", last_task(turning, "fails")["id"])
    assert "at its [finally] step" in turning.grist("retry", "fails", code=2)
    (turning.base / "go").touch()
    job = turning.ended("fails")
    assert (job["state"], job["reason"]) == ("failed", "its [finally] step: exit 1")
    (turning.base / "mended").touch()
    turning.grist("retry", "fails")
    turning.until(lambda: turning.job("fails")["state"] == "done", "it is not mended")
    assert sorted((turning.base / "items").read_text().split()) == ["0", "1", "2"], "no item ran again"
    assert len((turning.base / "tried").read_text().split()) == 2


def test_where_it_is_for_success_alone_it_is_passed_over_after_a_failure(turning: Mill) -> None:
    turning.drop_claimed("only.toml", """command = "exit {index}"
items = { total = 2 }
[finally]
command = "touch ran"
on = "done"
""")
    job = turning.ended("only")
    assert (job["state"], job["reason"]) == ("failed", "1 of 2 items failed")
    assert last_task(turning, "only")["state"] == "canceled"
    assert not (turning.base / "ran").exists()


def test_it_has_retries_and_a_timeout_of_its_own(turning: Mill) -> None:
    turning.drop_claimed("late.toml", """command = "true"
timeout = "50s"
retry = { attempts = 2, backoff = "100ms" }
[finally]
command = "echo $GRIST_ATTEMPT >> tried; exec sleep 1000"
timeout = "3s"
""")
    job = turning.ended("late")
    assert (job["state"], job["reason"]) == ("failed", "its [finally] step: ran longer than 3 s")
    assert (turning.base / "tried").read_text().split() == ["1", "2"]


LAB = """
import json, os
LOADED = []
def load():
    LOADED.append(os.getpid())
def give(index):
    return index
def merge(results):
    rows = [json.loads(line) for line in open(results)]
    print(len(rows), "rows")
    if not os.path.exists("mended"):
        raise ValueError("no such fold")
    return {"sum": sum(row["result"] for row in rows), "items": os.environ["GRIST_ITEMS_DONE"], "loaded": len(LOADED)}
"""


@pytest.mark.parametrize("isolation", ["fork", "reuse"])
def test_it_may_be_a_call_that_finds_what_was_loaded_for_the_others(turning: Mill, isolation: str) -> None:
    (turning.base / "lab.py").write_text(LAB)
    turning.drop("give.toml", f"""call = "lab:give"
preload = "lab:load"
isolation = "{isolation}"
items = {{ total = 40 }}
[finally]
call = "lab:merge"
""")
    job = turning.ended("give")
    assert (job["state"], job["reason"]) == ("failed", "its [finally] step: ValueError: no such fold")
    assert turning.grist("log", "give/finally").startswith("40 rows\nTraceback")
    (turning.base / "mended").touch()
    turning.grist("retry", "give")
    turning.until(lambda: turning.job("give")["state"] == "done", "it is not mended")
    assert turning.ask("results", job="give", after=40)["finally"] == {"sum": 780, "items": "40", "loaded": 1}


def test_a_call_that_is_not_there_is_told_before_the_first_item_begins(turning: Mill) -> None:
    (turning.base / "lab.py").write_text(LAB)
    turning.drop("give.toml", 'call = "lab:give"\nitems = { total = 4 }\n[finally]\ncall = "lab:absent"\n')
    job = turning.ended("give")
    assert (job["state"], job["items_done"]) == ("failed", 0)
    assert job["reason"] == "call: lab has no absent – it has give, load, merge"


def test_a_call_of_a_module_of_its_own_fails_the_job_with_its_traceback(turning: Mill) -> None:
    (turning.base / "lab.py").write_text(LAB)
    (turning.base / "sums.py").write_text("import no_such_module\n")
    turning.drop("give.toml", 'call = "lab:give"\nitems = { total = 4 }\n[finally]\ncall = "sums:merge"\n')
    words = "importing sums failed: ModuleNotFoundError: No module named 'no_such_module' – its traceback is in "
    job = turning.ended("give")
    assert (job["state"], job["items_done"], job["reason"].startswith(words)) == ("failed", 0, True)
    trace = Path(job["reason"].removeprefix(words)).read_text()
    assert 'sums.py", line 1, in <module>' in trace


def test_a_job_canceled_before_has_none(turning: Mill) -> None:
    turning.drop_claimed("off.toml", """command = "exec sleep 1000"
[finally]
command = "touch ran"
""")
    turning.running("off")
    turning.grist("cancel", "off")
    assert turning.ended("off")["state"] == "canceled"
    assert last_task(turning, "off")["state"] == "canceled"
    assert not (turning.base / "ran").exists()


@pytest.mark.parametrize("moment", ["before it", "while it runs"])
def test_a_killed_daemon_runs_it_once(mill: Mill, moment: str) -> None:
    mill.start("--limit", "2")
    mill.drop_claimed("once.toml", """command = '''
test {index} = 0 || while ! test -e go; do sleep 0.05; done
echo 1 > $GRIST_RESULT'''
items = { total = 2 }
[finally]
command = "echo began >> steps; while ! test -e on; do sleep 0.05; done; wc -l < {results} >> steps"
""")
    mill.until(lambda: mill.job("once").get("items_done") == 1, "the first is not done")
    if moment == "before it":
        mill.kill()
    (mill.base / "go").touch()
    if moment != "before it":
        mill.until(lambda: last_task(mill, "once")["state"] == "running", "it does not begin")
        mill.kill()
    mill.start("--limit", "2")
    (mill.base / "on").touch()
    assert mill.ended("once")["state"] == "done"
    assert (mill.base / "steps").read_text().split() == ["began", "2"]


def test_after_chosen_ranges_it_gets_one_row_an_item(turning: Mill) -> None:
    turning.drop_claimed("many.toml", """command = '''
printf '[%s]' $(seq -s, {start} $(({start} + {count} - 1))) > $GRIST_RESULT'''
items = { total = 5_000 }
[finally]
command = "wc -l < {results}"
""")
    assert turning.ended("many")["state"] == "done"
    last = last_task(turning, "many")
    assert turning.grist("log", last["id"]) == "5000\n"


def test_results_lie_beside_the_jobs_file_when_it_has_ended(turning: Mill) -> None:
    done = turning.jobs / "done"
    done.mkdir(exist_ok=True)
    (done / "kept.results.csv").write_text("mine")
    turning.drop_claimed("kept.toml", """command = "echo '{{\\"loss\\": {x}}}' > $GRIST_RESULT"
grid = { x = [1, 2] }
results = { export = "csv" }
""")
    turning.ended("kept")
    turning.until((done / "kept.toml").exists, "its file was not moved")
    assert (done / "kept.results.csv").read_text() == "mine", "a user's file is left alone"
    table = list(csv.reader((done / "kept.results~2.csv").read_text().splitlines()))
    assert table == [["item", "x", "loss"], ["0", "1", "1"], ["1", "2", "2"]]
    turning.drop_claimed("lines.toml", """command = "echo {index} > $GRIST_RESULT; exit {index}"
items = { total = 2 }
results = { export = "json" }
""")
    turning.ended("lines")
    turning.until((turning.jobs / "failed" / "lines.toml").exists, "its file was not moved")
    rows = (turning.jobs / "failed" / "lines.results.jsonl").read_text().splitlines()
    assert [json.loads(row)["result"] for row in rows] == [0, 1]
