"""Tasks of about a second, of a job whose file cuts them: one stands behind the one in hand, and never waits for it
while a worker has nothing to do."""

from __future__ import annotations

from tests.mill import Mill

PACED = """command = '''
echo {index} >> begun.{index}
if test {index} = LONG; then while test ! -e go; do sleep 0.05; done; fi
sleep 0.06'''
"""
ITEMS = "[items]\ntotal = TOTAL\nper_task = 1\n"


def begun(mill: Mill) -> int:
    return len(list(mill.base.glob("begun.*")))


def behind(mill: Mill) -> bool:
    """Whether both workers have a task in hand that waits for a word, and one behind it."""
    if begun(mill) < 12:
        return False
    return bool(mill.ask("tasks", job="paced", limit=0, state="starting")["total"] == 2)


def test_none_waits_behind_a_long_one_while_a_worker_is_free(turning: Mill) -> None:
    turning.drop_claimed("paced.toml", PACED.replace("LONG", "20") + ITEMS.replace("TOTAL", "40"))
    turning.until(lambda: turning.job("paced").get("items_done", 0) == 39, "one waits behind the long one")
    (turning.base / "go").touch()
    job = turning.ended("paced")
    assert (job["state"], job["items_done"], begun(turning)) == ("done", 40, 40)


def test_what_stands_behind_does_not_begin_once_its_job_is_held(turning: Mill) -> None:
    turning.drop_claimed("paced.toml", """command = '''
echo {index} >> begun.{index}
if test {index} -lt 10; then sleep 1; else while test ! -e go; do sleep 0.1; done; fi'''
""" + ITEMS.replace("TOTAL", "100"))
    turning.until(lambda: behind(turning), "none was sent ahead")
    turning.grist("hold", "paced")
    (turning.base / "go").touch()
    turning.until(lambda: not turning.job("paced")["tasks_running"], "what was in hand has not ended")
    assert begun(turning) == 12, "one has begun though its job is held"
