"""What ended jobs left goes when its user says so or the settings do; job files stay, and so does what is needed."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import pytest

from gristmill.supervisor.core.errors import GristError
from tests.mill import Mill
from tests.processes import children, resident

LINES = 'command = "echo {index}; echo {index} > $GRIST_RESULT"\n[items]\ntotal = 3\nper_task = 1\n'


def files(mill: Mill) -> set[str]:
    """What jobs left in the state folder."""
    places = (mill.state / name for name in ("logs", "results", "scripts", "calls"))
    return {str(path.relative_to(mill.state)) for place in places if place.exists() for path in place.rglob("*")}


def rows(mill: Mill) -> tuple[int, ...]:
    db = sqlite3.connect(f"file:{mill.state}/queue.db?mode=ro", uri=True)
    try:
        sql = "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM tasks), (SELECT count(*) FROM results)"
        return tuple(db.execute(sql).fetchone())
    finally:
        db.close()


def filed(mill: Mill, *names: str) -> None:
    """Waits until these jobs have ended, and their files were moved."""
    for name in names:
        mill.ended(name)
        mill.until(lambda name=name: list((mill.jobs / "done").glob(f"{name}.*")), f"{name} not filed")  # type: ignore[misc]


def test_a_removed_job_leaves_nothing_but_its_file(turning: Mill) -> None:
    turning.drop_claimed("kept.toml", LINES)
    turning.drop_claimed("gone.toml", LINES)
    turning.drop("script.sh", "#!/bin/sh\necho hello\n")
    filed(turning, "kept", "gone", "script")
    assert "2 jobs removed: 2 gone, 3 script" in turning.grist("remove", "gone", "script")
    assert [job["name"] for job in turning.ask("status")["jobs"]] == ["kept"]
    assert "no job 'gone'" in turning.grist("status", "gone", code=2)
    assert "no job '2'" in turning.grist("retry", "2", code=2)
    turning.until(lambda: rows(turning) == (1, 3, 3), "records stay")
    turning.until(lambda: {name.split("/")[1] for name in files(turning) if "/" in name} == {"1"}, "files stay")
    assert (turning.jobs / "done" / "gone.toml").exists() and (turning.jobs / "done" / "script.sh").exists()
    turning.kill()
    turning.start("--limit", "1")
    assert [job["name"] for job in turning.ask("status")["jobs"]] == ["kept"]
    turning.drop_claimed("next.toml", LINES)
    assert turning.ended("next")["id"] == 4


def test_what_has_not_ended_or_is_waited_for_stays_and_says_why(turning: Mill) -> None:
    turning.drop_claimed("prepare.toml", LINES)
    filed(turning, "prepare")
    turning.drop("long.toml", 'command = "sleep 1000"\n')
    turning.running("long")
    turning.drop("later.toml", 'command = "true"\nafter = ["prepare", "long"]\n')
    turning.until(lambda: turning.job("later"), "not accepted")
    assert "job 1 (prepare): job 3 waits for it" in turning.grist("remove", "prepare", code=2)
    assert "cancel it first: grist cancel 2" in turning.grist("remove", "long", code=2)
    assert turning.grist("clean", "--older", "0s") == "0 jobs removed\nstays: 1 prepare: job 3 waits for it\n"
    turning.grist("cancel", "later", "long")
    turning.ended("long")
    assert "1 prepare" in turning.grist("clean", "prepare")


def test_clean_goes_by_age_and_a_dry_run_touches_nothing(turning: Mill) -> None:
    turning.drop_claimed("old.toml", LINES)
    filed(turning, "old")
    before = files(turning), rows(turning)
    assert turning.grist("clean", "--older", "30d") == "0 jobs removed\n"
    assert "1 job would be removed" in turning.grist("clean", "--older", "0s", "--dry-run")
    assert turning.grist("clean") == "0 jobs removed\n"  # by the usual rule it is too young
    assert "has no unit" in turning.grist("clean", "--older", "30", code=2)
    assert (files(turning), rows(turning)) == before
    assert "1 job removed: 1 old" in turning.grist("clean", "--older", "0s")
    turning.until(lambda: rows(turning) == (0, 0, 0), "records stay")


def test_the_settings_say_what_is_kept_and_a_killed_daemon_finishes_what_it_began(mill: Mill) -> None:
    (mill.jobs / ".gristmill").mkdir()
    settings = mill.jobs / ".gristmill" / "settings.toml"
    settings.write_text('keep = "90d"\nkeep_size = "1 MiB"\n')
    mill.start("--limit", "2")
    for name in ("one", "two", "three"):
        mill.drop_claimed(f"{name}.toml", 'command = "head -c 700000 /dev/zero"\n')
        filed(mill, name)
    assert "2 jobs removed: 2 two, 1 one" in mill.grist("clean")
    mill.kill()
    mill.start("--limit", "2")
    mill.until(lambda: rows(mill)[0] == 1, "records stay")
    mill.until(lambda: "logs/1" not in files(mill) and "logs/2" not in files(mill), "logs stay")
    assert "logs/3/0.1.log" in files(mill)


def test_settings_that_keep_all_are_heeded_and_said(mill: Mill) -> None:
    (mill.jobs / ".gristmill").mkdir()
    (mill.jobs / ".gristmill" / "settings.toml").write_text('keep = "all"\n')
    mill.start()
    assert "settings keep all" in mill.grist("clean", code=2)


@pytest.mark.timeout(600)
def test_thousands_of_jobs_come_and_go_and_leave_nothing(mill: Mill, pytestconfig: pytest.Config) -> None:
    """Rounds of jobs, each removed before the next: files and the database are after the last as after the second; so
    is memory as after the first five, in which what is remembered of the latest events and kinds fills up."""
    rounds, each, first = (20, 500, 5) if pytestconfig.getoption("--full") else (12, 150, 5)
    mill.start("--limit", "2")
    assert mill.process is not None
    weights: list[tuple[int, int, int, int]] = []
    for number in range(rounds):
        for one in range(each):
            text = f'#!/bin/sh\n#GRIST env = {{ PAD = "{"x" * 8000}" }}\necho "$GRIST_JOB" | tee "$GRIST_RESULT"\n'
            mill.drop(f"job-{number}-{one}.sh", text)
        mill.until(lambda number=number: rows(mill)[0] == each, "not taken in")  # type: ignore[misc]
        mill.grist("wait")
        mill.until(lambda: mill.ask("clean", older=0) and not mill.ask("status")["jobs"], "jobs stay")
        mill.until(lambda: rows(mill) == (0, 0, 0), "records stay")
        mill.until(lambda: files(mill) == {"logs", "results"} or not files(mill), "files stay")
        mill.until(lambda: (mill.state / "queue.db").stat().st_size < 400_000, "the database stays large")
        size, runs = (mill.state / "queue.db").stat().st_size, len(os.listdir(mill.state / "runs"))
        (spawner,) = children(mill.process.pid)
        weights.append((resident(mill.process.pid), size, runs, max(map(resident, children(spawner)), default=0)))
    grown = weights[-1][0] - max(weight[0] for weight in weights[:first])
    assert grown <= (rounds - first) * each * 4000, weights  # half of what a job's variables alone take
    assert weights[-1][1] <= weights[1][1] + (256 << 10), weights
    assert weights[-1][2] <= 4, weights
    assert weights[-1][3] <= weights[1][3] + (1 << 20), weights  # a worker, which has seen some hundreds of them


def test_a_request_for_cleaning_that_makes_no_sense_is_refused(turning: Mill) -> None:
    wrong: list[dict[str, Any]] = [{"older": -1}, {"older": "30d"}, {"older": True}, {"ids": []}, {"ids": ["1/0"]}]
    for request in wrong:
        with pytest.raises(GristError):
            turning.ask("clean", **request)
