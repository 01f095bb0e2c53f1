"""What is handed to an engine, and what becomes of tasks there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core import remote
from gristmill.supervisor.core.remote import End, Ended, Missing, Place

RECORD: dict[str, Any] = {
    "e": "1.0.1", "code": 0, "signal": None, "why": None, "t0": 5.0, "t": 8.0, "wall": 3.0, "cpu": 1.0, "rss": 7,
}  # fmt: skip


def test_a_place_is_what_its_text_says() -> None:
    place = Place("slurm", "12.3", 7)
    assert str(place) == "slurm:12.3:7" and Place.parse("slurm:12.3:7") == place


@pytest.mark.parametrize("off", [-600.0, -3.0, 0.0, 3.0, 600.0])
def test_a_clock_that_differs_by_minutes_changes_no_length_and_no_order(off: float) -> None:
    record = {**RECORD, "t0": 1000.0 + off, "t": 1003.0 + off}
    end = remote.exit_of(record, looked_at=1002.0, now=1004.0)
    assert end.ended_at - end.started_at == pytest.approx(3.0), "its own steady clock measured it"
    assert 1002.0 - remote.SKEW_S <= end.ended_at <= 1004.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300)), max_size=6), st.integers(0, 400))
def test_shares_fill_the_room_and_take_no_more(waiting: list[tuple[int, int]], room: int) -> None:
    jobs = [(number, priority, tasks) for number, (priority, tasks) in enumerate(waiting)]
    found = remote.shares(jobs, room)
    assert sum(found.values()) == min(room, sum(tasks for _, _, tasks in jobs))
    assert all(found.get(number, 0) <= tasks for number, _, tasks in jobs)
    for number, priority, tasks in jobs:
        if found.get(number, 0) < tasks:
            assert not any(found.get(other) for other, lower, _ in jobs if lower < priority)


def test_a_job_of_ten_is_not_behind_one_of_ten_thousand() -> None:
    assert remote.shares([(1, 0, 10_000), (2, 0, 10)], 1000) == {1: 990, 2: 10}


@pytest.mark.parametrize(
    ("waiting", "room", "most", "alone", "size"),
    [(50, 1000, 1000, True, 50), (10_000, 1000, 600, True, 600), (10_000, 100, 1000, False, 100),
     (10_000, 0, 1000, True, 0), (0, 1000, 1000, True, 0), (5, 2, 1000, False, 2)],
)  # fmt: skip
def test_chunks_are_as_large_as_they_may_be(waiting: int, room: int, most: int, alone: bool, size: int) -> None:
    assert remote.chunk_size(waiting, room, most, alone) == size


def test_tiny_tasks_share_a_slot_so_that_a_tenth_goes_into_starts() -> None:
    assert remote.packed(0.1, 1.0, None) == 90 and remote.packed(20.0, 1.0, None) == 1
    assert remote.packed(0.0, 1.0, None) == 1, "nothing is known"
    assert remote.packed(0.1, 1.0, 120.0) == 5 and remote.packed(0.1, 1.0, 3600.0) == 1, "each may take so long"


def test_what_is_not_done_here_in_time_goes_beyond() -> None:
    assert remote.overflow(1000, 60.0, 10, 1800.0) == 700
    assert remote.overflow(200, 60.0, 10, 1800.0) == 0
    assert remote.overflow(1000, None, 10, 1800.0) == 0, "not before it is known how long one takes"


def test_a_task_is_lost_when_it_was_nowhere_for_the_grace_time() -> None:
    missing = Missing(30.0)
    both, none = frozenset({1, 2}), frozenset[int]()
    assert missing.look(both, frozenset({1}), 0.0) == []
    assert missing.look(both, none, 29.0) == []
    assert missing.look(both, frozenset({2}), 31.0) == [], "2 was seen again, and 1 is not gone for long"
    assert missing.look(both, none, 59.5) == [1]
    assert missing.look(frozenset({2}), none, 61.0) == [], "the other one has a record by now"


@pytest.mark.parametrize(
    ("told", "tail", "state"),
    [
        (None, "", "lost"), (Ended(End.NODE, "NODE_FAIL"), "", "lost"), (Ended(End.ENDED, "FAILED"), "", "lost"),
        (Ended(End.MEMORY, "OUT_OF_MEMORY"), "", "oom"), (Ended(End.TIME, "TIMEOUT"), "", "timeout"),
        (Ended(End.CANCELED, "CANCELLED by 0"), "", "cancel"), (Ended(End.PREEMPTED, "PREEMPTED"), "", "again"),
        (Ended(End.ENDED, "FAILED"), "StepId=7.batch exceeded memory limit (9 > 8), being killed", "oom"),
        (None, "error: Detected 1 oom_kill event in StepId=7.batch", "oom"),
        (None, "error: *** JOB 7 ON n1 CANCELLED AT 2026-11-28T11:09:26 DUE TO TIME LIMIT ***", "timeout"),
        (None, "error: *** JOB 7 ON n1 CANCELLED AT 2026-11-28T11:09:26 DUE TO PREEMPTION ***", "again"),
        (None, "error: *** JOB 7 ON n1 CANCELLED AT 2026-11-28T11:09:26 DUE TO NODE FAILURE, SEE LOG ***", "lost"),
        (None, "error: *** JOB 7 ON n1 CANCELLED AT 2026-11-28T11:09:26 ***", "cancel"),
        (Ended(End.TIME, "TIMEOUT"), "error: *** JOB 7 ON n1 CANCELLED AT 2026-11-28T11:09:26 ***", "timeout"),
    ],
)  # fmt: skip
def test_the_engine_s_word_on_a_task_without_a_record(told: Ended | None, tail: str, state: str) -> None:
    fate = remote.fate("slurm", told, "n1", 100.0, 160.0, tail)
    if fate.exit is None:
        assert state == ("again" if fate.again else "lost")
    else:
        assert state == ("oom" if fate.exit.oom else fate.exit.why)
    assert "n1" in fate.words and (told is None or state == "oom" or told.words in fate.words)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"why": "term", "signal": 15}, "cancel"), ({"why": None, "signal": 15}, "cancel"),
        ({"why": None, "code": 143, "signal": None}, "cancel"), ({"why": "timeout", "signal": 15}, "timeout"),
        ({"why": None, "code": 0, "signal": None}, None), ({"why": None, "code": 1, "signal": None}, None),
    ],
)  # fmt: skip
def test_an_end_that_was_asked_for_is_one_whoever_heard_first(record: dict[str, object], why: str | None) -> None:
    assert remote.asked_for(record)["why"] == why


def test_an_engine_that_is_silent_is_asked_ever_more_seldom() -> None:
    assert [remote.pause(times, 5.0) for times in (0, 1, 2, 3, 9)] == [5.0, 10.0, 20.0, 30.0, 30.0]
