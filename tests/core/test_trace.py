"""Traces: what is written down is read again, what is torn or foreign is told, and a replay finds every difference."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gristmill.supervisor.core import trace
from gristmill.supervisor.core.governor.decision import Allow, Binding, Decision, Fit
from gristmill.supervisor.core.governor.reading import Claim, Ended, Reading, Running, Waiting
from gristmill.supervisor.core.replay import Break, Period, difference, replay
from gristmill.supervisor.core.trace import Header, Step, Torn, TraceError


class Count(msgspec.Struct, frozen=True):
    """A governor's state that is as simple as can be: how many periods there were."""

    periods: int = 0


def count(reading: Reading, state: Count) -> tuple[Count, Decision]:
    """A governor that allows one worker more every third period."""
    now = state.periods + 1
    return Count(now), Decision(limit=now // 3, binding=Binding.RAMP, reason=f"period {now}")


def reading(at: float) -> Reading:
    return Reading(at=at, cores=2, cpu_total=1, cpu_ours=1, memory_total=8e9, memory_available=4e9, busy=1.5)


def recorded(periods: int, state: Count = Count(), begin: float = 100.0) -> list[bytes]:  # noqa: B008 - frozen
    lines = [trace.begin(state)]
    for number in range(periods):
        seen = reading(begin + number)
        state, decision = count(seen, state)
        lines.append(trace.step(seen, decision))
    return lines


numbers = st.floats(0, 1e15) | st.integers(0, 10**15).map(float)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
readings = st.builds(
    Reading, at=numbers, cores=numbers, cpu_total=numbers, cpu_ours=numbers, memory_total=numbers,
    memory_available=numbers, runnable=st.none() | numbers, pressure_io=st.none() | numbers, share=numbers,
    fixed=st.none() | st.integers(0, 1000), chance=st.floats(0, 1),
    running=st.lists(st.builds(
        Running, task=words, kind=words, age=numbers, cpu=numbers, memory=numbers, progress=st.none() | numbers,
        stopped=st.booleans(), wanted=st.none() | numbers, awake=numbers,
    ), max_size=2).map(tuple),
    ended=st.lists(
        st.builds(Ended, kind=words, wall=numbers, cpu=numbers, peak=numbers, busy=numbers), max_size=1
    ).map(tuple),
    waiting=st.lists(st.builds(
        Waiting, kind=words, count=st.integers(0, 10**6), claim=st.builds(Claim, cpus=st.none() | numbers),
    ), max_size=1).map(tuple),
)
decisions = st.builds(
    Decision, limit=st.integers(0, 10**4), binding=st.sampled_from(Binding), reason=words,
    allows=st.lists(st.builds(Allow, st.sampled_from(Binding), st.none() | st.integers(0, 99), words),
                    max_size=1).map(tuple),
    fits=st.dictionaries(words, st.builds(Fit, numbers, numbers, st.none() | st.integers(0, 99)), max_size=2),
    stop=st.lists(words, max_size=2).map(tuple), kill=st.lists(words, max_size=1).map(tuple),
)


@given(readings, decisions)
def test_what_is_written_down_is_read_again_to_the_last_digit(seen: Reading, decision: Decision) -> None:
    lines = [trace.begin(Count(7)), trace.step(seen, decision)]
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)
    header, step = trace.read(lines)
    assert isinstance(header, Header)
    assert trace.state(header, Count) == Count(7)
    assert step == Step(reading=seen, decision=decision)


def test_the_header_says_who_wrote_it_and_in_which_form() -> None:
    header = json.loads(trace.begin(Count(3)))
    assert list(header) == ["gristmill", "trace", "state"]
    assert (header["trace"], header["state"]) == (1, {"periods": 3})


@given(st.integers(1, 400))
def test_a_torn_end_loses_its_line_alone(cut: int) -> None:
    whole = b"".join(recorded(2))
    assume(cut < len(whole))
    found = list(trace.read(whole[:-cut].splitlines(keepends=True)))
    complete = whole[:-cut].count(b"\n")
    assert sum(isinstance(each, Header | Step) for each in found) == complete
    torn = not whole[:-cut].endswith(b"\n")
    assert [isinstance(each, Torn) for each in found] == [False] * complete + [True] * torn


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "the file is empty – record one"),
        ([b"command = 1\n"], "line 1: no trace begins like this"),
        ([b"no line at all"], "line 1: no trace begins like this"),
        ([b'{"gristmill":"9","trace":"one"}\n'], "line 1: no trace begins like this"),
        ([b'{"gristmill":"9","trace":1}\n'], "line 1: no trace begins like this"),
        ([b'{"gristmill":"9","trace":2,"form":[1]}\n'], "a newer Gristmill (trace 2, this one knows 1) – upgrade"),
        ([*recorded(1), b'{"gristmill":"9","trace":2}\n'], "line 3: written by a newer Gristmill"),
        ([*recorded(1), b'{"reading":{}}\n', *recorded(1)], "line 3: can't be read"),
        ([trace.begin(Count()), b"\x1b[2J\n"], "line 2: can't be read"),
    ],
)  # fmt: skip
def test_what_is_no_trace_is_refused_in_one_plain_line(lines: list[bytes], words: str) -> None:
    with pytest.raises(TraceError) as caught:
        list(trace.read(lines))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(TraceError, match=r"is not one of this version.* – replay it with the version that wrote it"):
        list(replay([trace.begin({"periods": "many"})], count, Count))


def test_a_replay_decides_as_recorded_from_the_recorded_state_on() -> None:
    found = list(replay(recorded(7, Count(1)), count, Count))
    assert all(isinstance(each, Period) and not each.differs for each in found)
    assert [(each.at, each.decision.limit, each.changed) for each in found if isinstance(each, Period)] == [
        (0, 0, True), (1, 1, True), (2, 1, False), (3, 1, False), (4, 2, True), (5, 2, False), (6, 2, False),
    ]


def test_another_governor_is_found_out_at_its_first_other_answer() -> None:
    def bolder(seen: Reading, state: Count) -> tuple[Count, Decision]:
        after, decision = count(seen, state)
        return after, msgspec.structs.replace(decision, limit=9) if after.periods == 5 else decision

    differing = [each for each in replay(recorded(8), bolder, Count) if isinstance(each, Period) and each.differs]
    assert [(each.at, each.differs) for each in differing] == [(4.0, "limit is 9, recorded was 1")]


def test_of_a_long_answer_the_place_is_shown_where_it_differs() -> None:
    one, other = (Decision(limit=1, binding=Binding.CPU, reason="w" * 500 + word + "z" * 500) for word in ("so", "no"))
    words = difference(one, other)
    assert len(words) < 220
    assert "wwso" in words and "wwno" in words


@pytest.mark.parametrize("field", ["stop", "resume", "kill"])
def test_tasks_that_are_acted_upon_are_news(field: str) -> None:
    def acting(seen: Reading, state: Count) -> tuple[Count, Decision]:
        acts: dict[str, Any] = {field: ("7:1",) if state.periods == 2 else ()}
        return Count(state.periods + 1), Decision(limit=1, binding=Binding.CPU, reason="", **acts)

    periods = [each for each in replay(recorded(4), acting, Count) if isinstance(each, Period)]
    assert [each.changed for each in periods] == [True, False, True, False]


def test_a_record_that_begins_anew_takes_the_state_from_there() -> None:
    lines = [*recorded(2), *recorded(3, Count(40), begin=5.0), b'{"reading":']
    found = list(replay(lines, count, Count))
    assert [type(each) for each in found] == [Period, Period, Break, Period, Period, Period, Break]
    assert [each.at for each in found if isinstance(each, Period)] == [0, 1, 0, 1, 2]
    assert not any(each.differs for each in found if isinstance(each, Period))
