"""When a job may begin: what a file says of it, and what that means at one moment."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from gristmill.supervisor.core import gate
from gristmill.supervisor.core.errors import JobFileError
from gristmill.supervisor.core.findings import Fault
from gristmill.supervisor.core.gate import Fate
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.jobfile import parse
from gristmill.supervisor.core.portrait import portray
from gristmill.supervisor.core.spec import Gate, Ref
from gristmill.supervisor.core.task import JobState

MONDAY = datetime(2026, 11, 16, 9, 30)


def read(*lines: str) -> Gate:
    text = "\n".join(('command = "true"', *lines))
    return parse(text, "job.toml", cwd="/", home="/", read=lambda _: "").gate


def judged(
    found: Gate, fates: dict[Ref, Fate] | None = None, *, begun: bool = False, age_s: float = 0.0, wait_s: float = 0.0,
    local: datetime = MONDAY,
) -> tuple[str, str]:
    verdict = gate.judge(found, begun, age_s, wait_s, local, (fates or {}).get)
    return verdict.state, verdict.words


def test_a_file_that_says_nothing_of_it_has_no_gate() -> None:
    assert read() == Gate()
    assert judged(Gate()) == ("open", "")


def test_other_jobs_are_named_by_name_or_number_one_or_several() -> None:
    found = read('after = "prepare"', 'after_any = 12', 'after_failed = ["a", 3, "a"]')
    assert (found.after, found.after_any, found.after_failed) == (("prepare",), (12,), ("a", 3))


@pytest.mark.parametrize(("line", "words"), [
    ("after = []", "after names no job"),
    ('after = ["a", " "]', "an empty name"),
    ("after = true", "after is true"),
    ('start = "25:00"', '"25:00" is no time of day'),
    ('start = "soon"', '"soon" is no time to begin at'),
    ('start = "61 * * * *"', '"61 * * * *" is no cron line: bad minute'),
    ('start = "0 0 30 2 *"', "0 0 30 2 *"),
    ('start = "2026-13-01"', '"2026-13-01" is no date'),
    ('only = "evenings"', '"evenings" names no hours'),
    ("only = []", "only names no hours"),
    ('expires = "2"', '"2" has no unit'),
    ('limits = { time = "0h" }', "a time of 0"),
])
def test_what_can_not_be_meant_is_said_where_it_stands(line: str, words: str) -> None:
    with pytest.raises(JobFileError) as caught:
        read(line)
    (problem,) = caught.value.problems
    assert problem.line == 2
    assert words in problem.what and problem.mend


@pytest.mark.parametrize(("text", "meant"), [
    ("22:00", datetime(2026, 11, 16, 22)),
    ("9:30", datetime(2026, 11, 17, 9, 30)),  # the next one, not this
    ("09:31", datetime(2026, 11, 16, 9, 31)),
    ("2h30m", datetime(2026, 11, 16, 12)),
    ("2026-12-24 08:00", datetime(2026, 12, 24, 8)),
    ("2026-12-24T08:00", datetime(2026, 12, 24, 8)),
    ("2026-01-01", datetime(2026, 1, 1)),
    ("0 22 * * fri", datetime(2026, 11, 20, 22)),
    ("*/20 * * * *", datetime(2026, 11, 16, 9, 40)),
])
def test_a_start_is_the_next_such_time(text: str, meant: datetime) -> None:
    assert gate.first(gate.start(text), MONDAY) == meant


def test_a_time_that_is_not_there_when_clocks_are_put_forward_comes_all_the_same() -> None:
    """The 29th of March 2026 has no 02:30 in Berlin; it is 03:30 then by the clock that was put forward."""
    assert gate.first("02:30", datetime(2026, 3, 28, 12)) == datetime(2026, 3, 29, 2, 30)


@pytest.mark.parametrize(("words", "state", "verdict"), [
    ("after", "queued", "closed"), ("after", "running", "closed"), ("after", "held", "closed"),
    ("after", "done", "open"), ("after", "failed", "never"), ("after", "canceled", "never"),
    ("after_any", "running", "closed"), ("after_any", "done", "open"), ("after_any", "failed", "open"),
    ("after_any", "canceled", "open"),
    ("after_failed", "running", "closed"), ("after_failed", "done", "never"), ("after_failed", "failed", "open"),
    ("after_failed", "canceled", "open"),
])
def test_how_the_other_job_ended_decides(words: str, state: str, verdict: str) -> None:
    found = judged(Gate(**{words: ("a",)}), {"a": Fate(7, "a", state)})  # type: ignore[arg-type]
    assert found[0] == verdict
    assert ("job 7 (a)" in found[1]) is (verdict != "open")


def test_of_several_the_first_that_is_not_over_is_named_and_one_that_is_not_there_is_waited_for() -> None:
    found = Gate(after=("a", 9))
    assert judged(found, {"a": Fate(1, "a", "done")}) == ("closed", "after: there is no job 9 yet")
    assert judged(found, {9: Fate(9, "b", "done")}) == ("closed", 'after: there is no job "a" yet')
    assert judged(found, {"a": Fate(1, "a", "done"), 9: Fate(9, "b", "running")})[1] == (
        "after: waits for job 9 (b), running"
    )
    assert judged(found, {"a": Fate(1, "a", "done"), 9: Fate(9, "b", "done")})[0] == "open"


def test_a_job_that_has_begun_needs_nobody_any_more() -> None:
    found = Gate(after=("a",), expires_s=1.0)
    assert judged(found, {"a": Fate(1, "a", "failed")}, begun=True, age_s=99.0, wait_s=9.0) == ("open", "")


def test_a_start_that_is_to_come_is_told_with_what_is_left_of_the_wait() -> None:
    assert judged(Gate(start="22:00"), wait_s=3600.0) == ("closed", "start: 10:30, in 1:00:00")
    assert judged(Gate(start="22:00"), wait_s=86400.0)[1] == "start: Tue 17 Nov 09:30, in 1d 00h"


def test_too_late_is_never() -> None:
    assert judged(Gate(expires_s=60.0), age_s=60.0) == ("open", "")
    assert judged(Gate(expires_s=60.0), age_s=61.0) == ("never", "expired: not begun within 01:00")


def test_tasks_begin_in_their_hours_only_also_of_a_job_that_has_begun() -> None:
    found = read('only = ["nights", "sat 10:00-12:00"]')
    for begun in (False, True):
        state, words = judged(found, begun=begun)
        assert (state, words) == ("closed", "only: begins tasks 20:00-08:00 and sat 10:00-12:00, next at 20:00")
        assert judged(found, begun=begun, local=MONDAY.replace(hour=21))[0] == "open"
        assert judged(found, begun=begun, local=MONDAY + timedelta(days=5, hours=1))[0] == "open"


def test_a_job_that_has_ended_says_nothing_of_its_gate() -> None:
    spec = parse('command = "true"\nafter = "a"', "job.toml", cwd="/", home="/", read=lambda _: "")
    assert portray(Job(id=1, spec=spec, file="", submitted_at=0.0)).reason
    assert not portray(Job(id=1, spec=spec, file="", submitted_at=0.0, state=JobState.DONE, ended_at=1.0)).reason


def test_a_circle_is_found_and_a_line_is_none() -> None:
    assert gate.circle({3: [2], 2: [1], 1: []}) == ()
    found = gate.circle({1: [2], 2: [3], 3: [1], 4: [1]})
    assert sorted(found) == [1, 2, 3]
    assert all(other in {1: [2], 2: [3], 3: [1]}[one] for one, other in zip(found, (*found[1:], found[0]), strict=True))
    assert gate.circle({number: [number + 1] for number in range(50_000)}) == ()


def test_a_time_of_day_that_no_day_has_is_refused_and_a_year_that_no_clock_has() -> None:
    for text in ("24:00", "7:5", "7:60", "²:00", "7:³0", "0001-01-01", "9999-12-31 23:59"):
        with pytest.raises(Fault):
            gate.start(text)


def test_a_date_that_names_its_zone_is_that_moment_here() -> None:
    assert gate.first("2026-12-24T08:00+00:00", MONDAY) == datetime.fromtimestamp(1798099200)
