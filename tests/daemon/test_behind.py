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
    stop = turning.base / "stop"
    turning.drop_claimed("paced.toml", """command = '''
echo {index} >> begun.{index}
sleep 0.5
while test -e stop; do sleep 0.05; done'''
""" + ITEMS.replace("TOTAL", "200"))

    def stopped() -> bool:
        """Whether both in hand stay there, with one behind each."""
        stop.touch()
        turning.after(0.6)  # each in hand has come to where it looks for that file
        if behind(turning):
            return True
        stop.unlink()
        return False

    turning.until(lambda: behind(turning) and stopped(), "none was sent ahead")
    seen = begun(turning)
    turning.grist("hold", "paced")
    stop.unlink()
    turning.until(lambda: not turning.job("paced")["tasks_running"], "what was in hand has not ended")
    assert begun(turning) == seen, "one has begun though its job is held"
