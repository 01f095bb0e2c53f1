"""A job of which too many tasks fail alike ends; one whose tasks fail each in its own way goes on."""

from __future__ import annotations

from tests.mill import Mill

FEED = """command = "echo {words}; until [ -e go-{index} ]; do sleep 0.02; done; exit {code}"
[limits]
failures = 2
workers = 1
[items]
file = "items.csv"
"""


def drop(mill: Mill, *items: tuple[str, int]) -> None:
    """A job whose tasks say these words, wait to be let go, and end with these codes; one at a time."""
    rows = "".join(f"{words},{code}\n" for words, code in items)
    (mill.base / "items.csv").write_text(f"words,code\n{rows}")
    mill.drop("sweep.toml", FEED)
    mill.running("sweep")


def let_go(mill: Mill, index: int) -> None:
    (mill.base / f"go-{index}").touch()
    mill.until(lambda: mill.tasks("sweep")[index]["ended_at"], f"task {index} has not ended")


def test_a_sweep_stops_when_so_many_tasks_have_failed_with_the_same_last_words(turning: Mill) -> None:
    drop(turning, ("no room at step 12", 1), ("something else", 1), ("no room at step 9", 3), ("well", 0), ("well", 0))
    for index in range(3):
        let_go(turning, index)
    turning.until(lambda: turning.job("sweep")["state"] == "failed", "it goes on")
    assert turning.job("sweep")["reason"] == "failures: 2 tasks have failed alike: no room at step 9"
    let_go(turning, 3)  # what runs goes on, and counts
    job = turning.ended("sweep")
    assert (job["state"], job["items_done"], job["items_failed"]) == ("failed", 1, 3)
    assert turning.tasks("sweep")[4]["started_at"] is None


def test_what_failed_before_the_daemon_was_killed_counts_and_a_retry_does_what_is_left(mill: Mill) -> None:
    mill.start("--limit", "2")
    drop(mill, ("no room", 1), ("fine", 0), ("no room", 1), ("fine", 0))
    let_go(mill, 0)
    mill.running("sweep")
    mill.kill()  # what had failed by then counts on
    mill.start("--limit", "2")
    for index in (1, 2):
        let_go(mill, index)
    mill.until(lambda: mill.job("sweep")["state"] == "failed", "the failure of before was forgotten")
    let_go(mill, 3)
    mill.ended("sweep")
    mill.grist("retry", "sweep")
    job = mill.ended("sweep")
    assert (job["items_done"], job["items_failed"]) == (2, 2)


def test_failures_that_are_not_alike_stop_nothing(turning: Mill) -> None:
    drop(turning, ("a", 1), ("b", 1), ("c", 2), ("a", 0))
    for index in range(4):
        let_go(turning, index)
    job = turning.ended("sweep")
    assert (job["state"], job["items_failed"]) == ("failed", 3)
    assert not job["reason"].startswith("failures")
