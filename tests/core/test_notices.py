"""Whom to call and when: what is news for people, in which words, and how many messages a flood becomes."""

from __future__ import annotations

from typing import Literal

import pytest

from gristmill.supervisor.core import notices
from gristmill.supervisor.core.events import ConditionEvent, Event, JobEvent, LimitEvent
from gristmill.supervisor.core.findings import Fault
from gristmill.supervisor.core.notices import Budget


def job(state: str, reason: str = "") -> JobEvent:
    return JobEvent(time=9.0, id=3, name="sweep", file="sweep.toml", state=state, reason=reason, items=60,
                    items_done=50, items_failed=10, submitted_at=0.0, started_at=100.0, ended_at=164.0)  # fmt: skip


def condition(kind: str, state: str = "began", holds: bool = True) -> ConditionEvent:
    how: Literal["began", "over"] = "began" if state == "began" else "over"
    return ConditionEvent(time=9.0, kind=kind, state=how, reason=f"{kind}: bad", since=1.0, holds=holds)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (job("done"), "done"), (job("failed", "exit 3"), "failed"), (job("held", "20 tasks failed alike"), "held"),
        (job("held", "held by the user"), None), (job("running"), None), (job("queued"), None), (job("canceled"), None),
        (condition("disk"), "disk"), (condition("disk", "over"), None), (condition("database"), "fault"),
        (condition("processes"), "fault"), (condition("pause"), None), (condition("drain"), None),
        (condition("memory"), None), (condition("loop intake", holds=False), "fault"),
        (condition("settings", holds=False), "fault"), (condition("socket", holds=False), None),
        (condition("notify", holds=False), None), (LimitEvent(time=1.0, before=1, after=2, reason="x"), None),
    ],
)  # fmt: skip
def test_what_is_news_for_people(event: Event, said: str | None) -> None:
    assert notices.topic(event) == said


def test_the_news_is_one_line_with_all_that_matters() -> None:
    line = "job 3 (sweep) failed in 01:04, 50 of 60 items done, 10 failed: exit 3"
    assert notices.words(job("failed", "exit 3")) == line
    told = notices.message(job("failed", "exit 3"), "failed", {"host": "node7", "jobs_dir": "/home/ann/jobs"})
    assert (told["schema"], told["topic"], told["text"], told["host"]) == (1, "failed", line, "node7")
    assert (told["event"], told["id"], told["items_failed"]) == ("job", 3, 10)


def test_a_flood_becomes_a_score_of_messages_and_one_more_every_while() -> None:
    budget, sent = Budget(), 0
    for second in range(3600):
        now = 1e6 + second
        for _ in range(5):
            if budget.admits(now):
                sent += 1
            else:
                budget.put_off("failed", f"job at {second}", now)
    assert notices.BURST < sent <= notices.BURST + 3600 / notices.EVERY_S + 1
    assert budget.due_s(1e6 + 3600) == 0.0
    digest = budget.digest(1e6 + 3600, {"host": "node7"})
    assert digest["counts"] == {"failed": 5 * 3600 - sent}
    assert len(digest["first"]) == notices.NAMED
    assert digest["text"].startswith(f"{5 * 3600 - sent} more: ")
    assert budget.due_s(1e6 + 3601) is None


def test_after_a_quiet_while_messages_go_out_again() -> None:
    budget = Budget()
    assert sum(budget.admits(50.0) for _ in range(100)) == notices.BURST
    assert not budget.admits(50.0 + notices.EVERY_S - 1)
    assert budget.admits(50.0 + notices.EVERY_S + 1)


@pytest.mark.parametrize("written", ["", "  ", [], [""], "a\0b"])
def test_a_notifier_that_is_none_is_refused(written: str | list[str]) -> None:
    with pytest.raises(Fault):
        notices.command(written)
