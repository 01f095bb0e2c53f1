"""Jobs that wait for others, for a time or for their hours: what users see of them, with a whole daemon."""

from __future__ import annotations

from tests.mill import Mill


def say(word: str, *lines: str) -> str:
    return "\n".join((f'command = "echo {word} >> out"', *lines)) + "\n"


def test_a_job_begins_when_the_one_that_it_names_has_ended_well_also_one_that_is_dropped_later(turning: Mill) -> None:
    turning.drop("third.toml", say("third", 'after = ["second"]'))
    turning.drop("second.toml", say("second", 'after = "first"'))
    turning.until(lambda: turning.job("second").get("reason") == 'after: there is no job "first" yet', "no reason")
    turning.until(lambda: "waits for job" in turning.job("third").get("reason", ""), "no reason")
    turning.drop("first.toml", 'command = "sleep 0.3; echo first >> out"\n')
    assert turning.ended("third")["state"] == "done"
    assert (turning.base / "out").read_text().split() == ["first", "second", "third"]


def test_what_can_not_come_any_more_fails_and_says_so_down_the_line(turning: Mill) -> None:
    turning.grist("limit", "0")
    turning.drop("bad.toml", 'command = "exit 3"\n')
    turning.until(lambda: turning.job("bad"), "not accepted")
    turning.drop("well.toml", say("well", 'after = "bad"'))
    turning.drop("next.toml", say("next", 'after = "well"'))
    turning.drop("any.toml", say("any", 'after_any = "bad"'))
    turning.drop("mend.toml", say("mend", f'after_failed = {turning.job("bad")["id"]}'))
    turning.until(lambda: len(turning.ask("status")["jobs"]) == 5, "not accepted")
    turning.grist("limit", "2")
    states = {name: turning.ended(name)["state"] for name in ("well", "next", "any", "mend")}
    assert states == {"well": "failed", "next": "failed", "any": "done", "mend": "done"}
    assert sorted((turning.base / "out").read_text().split()) == ["any", "mend"]
    why = f"dependency: job {turning.job('bad')['id']} (bad) has failed, and this job was to run after it"
    assert turning.job("well")["reason"] == why
    assert turning.grist("wait", "well", code=1)
    turning.until((turning.jobs / "failed" / "next.toml").exists, "the file was not moved to failed/")


def test_a_job_waits_on_through_a_killed_daemon(mill: Mill) -> None:
    mill.start("--limit", "2")
    mill.drop("long.toml", 'command = "while [ ! -e go ]; do sleep 0.05; done; echo long >> out"\n')
    mill.running("long")
    mill.drop("next.toml", say("next", 'after = "long"'))
    mill.until(lambda: "waits for job" in mill.job("next").get("reason", ""), "no reason")
    mill.kill()
    (mill.base / "go").touch()
    mill.start("--limit", "2")
    assert mill.ended("next")["state"] == "done"
    assert (mill.base / "out").read_text().split() == ["long", "next"]


def test_jobs_that_wait_for_each_other_are_told_so(turning: Mill) -> None:
    turning.drop("a.toml", say("a", 'after = "b"'))
    turning.until(lambda: turning.job("a"), "not accepted")
    turning.drop("b.toml", say("b", 'after_any = "a"'))
    for name in ("a", "b"):
        job = turning.ended(name)
        assert job["state"] == "failed" and job["reason"].startswith("dependency: jobs wait for each other: ")
    assert not (turning.base / "out").exists()


def test_a_job_that_takes_too_long_fails_and_what_runs_of_it_is_ended(turning: Mill) -> None:
    turning.drop("slow.toml", """command = "sleep {s}"
grace = "1s"
limits = { time = "5s", workers = 2 }
[grid]
s = [0, 600, 601, 602]
""")
    job = turning.ended("slow")
    assert (job["state"], job["reason"]) == ("failed", "timeout: took longer than 5 s")
    fates = [(task["state"], task["reason"]) for task in turning.tasks("slow")]
    assert fates[0][0] == "done" and ("canceled", "its job has failed") in fates
    assert job["ended_at"] - job["started_at"] < 60


def test_a_job_that_may_not_begin_yet_holds_nobody_up_and_can_be_canceled(turning: Mill) -> None:
    turning.drop("later.toml", say("later", 'start = "2h"', "priority = 9"))
    turning.until(lambda: turning.job("later").get("reason", "").startswith("start: "), "no reason")
    turning.drop("now.toml", say("now"))
    assert turning.ended("now")["state"] == "done"
    assert turning.job("later")["state"] == "queued"
    turning.grist("cancel", "later")
    assert turning.ended("later")["state"] == "canceled"


def test_the_tree_shows_who_waits_for_whom(turning: Mill) -> None:
    turning.grist("limit", "0")
    turning.grist("add", "--name", "prepare", "--", "true")
    turning.grist("add", "--name", "train", "--after", "prepare", "--", "true")
    turning.grist("add", "--name", "report", "--after-any", "2", "--after", "prepare", "--", "true")
    turning.grist("add", "--name", "clean", "--after-failed", "prepare", "--start", "22:00", "--", "true")
    assert turning.job("report")["needs"] == {"after": ["prepare"], "after_any": [2]}
    turning.until(lambda: "waits for job 1" in turning.job("clean")["reason"], "no reason")
    lines = turning.grist("status", "--tree").splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "1 prepare  ○ queued",
        "├─ 2 train  ○ queued  (after)",
        "│  └─ 3 report  ○ queued  (after_any, after 1)",
        "└─ 4 clean  ○ queued  (after_failed)",
    ]
