"""The governor decides by numbers alone, so tests are readings in and decisions out."""

from __future__ import annotations

import math
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.supervisor.core import governor
from gristmill.supervisor.core.governor import Binding, Claim, Decision, Ended, Reading, Running, State, Waiting
from gristmill.supervisor.core.governor.ceiling import MOST, alone, expected_smaller

GB = 1e9
MUCH = (Waiting(kind="k#1", count=1000),)


def reading(at: float, **facts: object) -> Reading:
    """An eight-core machine with 16 GB, nearly all of it free, and much to do."""
    plain: dict[str, object] = {
        "at": at, "cores": 8.0, "cpu_total": 0.0, "cpu_ours": 0.0, "memory_total": 16 * GB,
        "memory_available": 15 * GB, "waiting": MUCH,
    }
    return Reading(**{**plain, **facts})  # type: ignore[arg-type]  # a test's free hand


def tasks(count: int, use: float = 1.0, memory: float = 0.01 * GB, age: float = 30.0) -> tuple[Running, ...]:
    """So many tasks, the first the oldest."""
    return tuple(
        Running(task=f"1.{n}.1", kind="k#1", age=age + count - n, cpu=use, memory=memory, spent=age * use)
        for n in range(count)
    )


class Machine:
    """A machine on which every worker wants `use` cores and takes `memory`, at once; and a governor at work."""

    def __init__(self, use: float, cores: float = 8.0, memory: float = 0.01 * GB, state: State | None = None) -> None:
        self.use, self.cores, self.memory = use, cores, memory
        self.state = State() if state is None else state
        self.at, self.busy = 0.0, 0
        self.last: Decision | None = None

    def second(self, others: float = 0.0, nice: float = 0.0, **facts: object) -> Decision:
        """One period: what was allowed runs, what is read is decided upon."""
        self.at += 1.0
        taken = others + nice
        ours = min(self.busy * self.use, self.cores - taken)
        each = ours / self.busy if self.busy else 0.0
        told: dict[str, object] = {
            "cores": self.cores, "cpu_total": ours + taken, "cpu_ours": ours, "cpu_nice": nice,
            "busy": float(self.busy),
            "running": tasks(self.busy, each, self.memory), "memory_available": 15 * GB - self.busy * self.memory,
            "ended": (Ended(kind="k#1", wall=5.0, cpu=5 * each, peak=self.memory, busy=float(self.busy)),)
            if self.busy else (),
        }
        self.state, self.last = governor.decide(reading(self.at, **{**told, **facts}), self.state)
        assert self.last is not None
        self.busy = min(self.busy, self.last.limit)
        while self.busy < self.last.limit and self.last.admits("k#1", {"k#1": self.busy}):
            self.busy += 1
        return self.last

    def run(self, seconds: int, others: float = 0.0, nice: float = 0.0) -> Decision:
        """So many periods; the last decision."""
        for _ in range(seconds):
            decision = self.second(others, nice)
        return decision


# ── cores ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("cores", "first"), [(1.0, 1), (2.0, 1), (8.0, 2), (64.0, 4)])
def test_it_starts_with_a_quarter_of_the_cores_one_to_four(cores: float, first: int) -> None:
    assert Machine(1.0, cores).second().limit <= first


def test_busy_workers_end_up_at_the_number_of_cores() -> None:
    machine = Machine(1.0)
    limits = [machine.second().limit for _ in range(60)]
    assert limits[20] == 8
    assert max(limits) <= 9  # a probe may try one more
    assert machine.run(1).binding in (Binding.CPU, Binding.PROBE)


def test_of_two_workers_none_is_left_out_to_see_what_contention_costs() -> None:
    machine = Machine(1.0, cores=2.0)
    assert {machine.second().limit for _ in range(200)} == {1, 2}, "one to begin with"
    assert min(machine.second().limit for _ in range(600)) == 2


def test_of_one_core_and_one_worker_it_speaks_as_of_one() -> None:
    machine = Machine(1.0, cores=1.0)
    told = [allow.words for _ in range(60) for allow in machine.second().allows]
    assert any("1 keeps 1 core busy" in words for words in told)
    assert any("most gets done with 1 worker" in words for words in told)
    assert not [words for words in told if re.search(r"(?<![.\d])1 (workers|cores)\b", words)]


def test_workers_that_wait_half_of_their_time_get_more_than_one_for_each_core() -> None:
    assert 14 <= Machine(0.5).run(60).limit <= 24


@pytest.mark.parametrize(("span", "usual"), [(0.7, 0.7), (1.3, 1.3), (1.0, 0.3)])
def test_brief_tasks_that_follow_each_other_fill_their_workers(span: float, usual: float) -> None:
    """Seen when they end or while they run, and ranges whatever a range of the `usual` size would have taken."""
    state, born, limits = State(), [0.0], []
    for at in range(1, 31):
        ended = sum(int((at - b) / span) - int((at - 1 - b) / span) for b in born if at - 1 >= b)
        each = min(1.0, 2 / len(born))
        running = tuple(
            Running(task=f"1.{n}.1", kind="k#1", age=(at - b) % span, cpu=each, memory=0.01 * GB, spent=(at - b) % span)
            for n, b in enumerate(born)
        )
        ends = Ended(kind="k#1", count=ended, wall=usual, cpu=usual * each, took=span, peak=0.01 * GB, busy=len(born))
        told = reading(at, cores=2.0, cpu_total=each * len(born), cpu_ours=each * len(born), busy=float(len(born)),
                       running=running, ended=(ends,) if ended else ())
        state, decision = governor.decide(told, state)
        limits.append(decision.limit)
        born += [float(at)] * (decision.limit - len(born))
    assert limits[-1] == 2 == max(limits)
    use = state.kinds["k#1"].use
    state, _ = governor.decide(reading(31.0, cores=2.0, waiting=()), state)
    ends = Ended(kind="k#1", wall=0.2, cpu=0.2, peak=0.01 * GB, busy=1.0)  # another job, of which a fifth of a second
    state, _ = governor.decide(reading(32.0, cores=2.0, cpu_total=0.2, cpu_ours=0.2, ended=(ends,)), state)
    assert state.kinds["k#1"].use == pytest.approx(use, rel=0.02), "that work came late does not make workers idle"


def test_sleepers_are_many_within_half_a_minute() -> None:
    assert Machine(0.0).run(30).limit >= 256


def test_a_kind_that_was_learned_starts_at_its_number() -> None:
    machine = Machine(1.0)
    machine.run(40)
    text = msgspec.json.encode(governor.lasting(machine.state))
    again = Machine(1.0, state=msgspec.json.decode(text, type=State))
    assert again.second().limit == 8


@pytest.mark.parametrize(("ended", "number"), [(0, 2), (1, 4), (3, 8)])
def test_the_first_that_has_ended_doubles_the_number_and_three_make_it_that_of_the_cores(
    ended: int, number: int
) -> None:
    state, _ = governor.decide(reading(0.0), State())
    ends = (Ended(kind="k#1", count=ended, wall=0.1, cpu=0.1, peak=0.01 * GB, busy=1.0),) if ended else ()
    busy: dict[str, object] = {"busy": 2.0, "running": tasks(2, age=0.05), "cpu_total": 2.0, "cpu_ours": 2.0}
    state, decision = governor.decide(reading(0.15, **busy, ended=ends), state)
    assert (state.search.number, decision.limit) == (number, number)


def test_where_the_first_has_ended_before_the_first_look_slow_start_begins_one_step_on() -> None:
    end = Ended(kind="k#1", wall=0.1, cpu=0.1, peak=0.01 * GB, busy=1.0)
    _, decision = governor.decide(reading(0.0, busy=1.0, running=tasks(1, age=0.05), ended=(end,)), State())
    assert decision.limit == 4


def test_a_kind_is_better_known_once_its_first_task_has_ended_and_once_there_are_three() -> None:
    ends_and_more = [(ends, more) for ends in range(5) for more in range(4) if governor.Kind(ends=ends).outgrown(more)]
    assert ends_and_more == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]


def test_before_anything_waits_slow_start_would_allow_its_first_worker() -> None:
    _, decision = governor.decide(reading(1.0, waiting=()), State())
    assert {allow.binding: allow.workers for allow in decision.allows}[Binding.RAMP] == 1


# ── others ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_limit_yields_to_other_people_and_comes_back() -> None:
    machine = Machine(1.0)
    machine.run(30)
    decision = machine.run(5, others=4.0)
    assert decision.limit <= 5
    assert decision.binding is Binding.OTHERS
    assert re.search(r"their work wants (3\.[89]|4\.[0-2]) of 8 cores", decision.reason)
    machine.run(40, others=4.0)
    assert 8 in [machine.second().limit for _ in range(15)]


def test_a_machine_that_others_have_left_is_ours_again_within_a_few_looks_and_not_at_the_first() -> None:
    machine = Machine(1.0, cores=2.0)
    machine.run(30)
    assert machine.run(30, others=1.9).limit == 1
    assert [machine.second().limit for _ in range(4)] == [1, 1, 2, 2]


def test_beside_batch_work_of_another_user_each_has_half() -> None:
    machine = Machine(1.0)
    machine.run(30)
    assert machine.run(20, nice=6.0).limit == 4
    assert machine.run(20, others=6.0).limit <= 2, "work that is not niced comes first"


def test_noise_is_nobody() -> None:
    machine = Machine(1.0)
    machine.run(30)
    for second in range(60):
        decision = machine.second(others=0.25 * (second % 2))
    assert decision.limit >= 7


def test_in_polite_hours_half_is_left() -> None:
    machine = Machine(1.0)
    machine.run(30)
    for _ in range(10):
        decision = machine.second(share=0.5, polite="polite hours until 20:00: half of the machine")
    assert decision.limit == 4
    assert decision.binding is Binding.POLITE
    assert decision.reason == "polite: polite hours until 20:00: half of the machine"


@pytest.mark.parametrize("facts", [{}, {"waiting": ()}, {"fixed": 3}, {"running": (), "busy": 0.0}])
def test_where_all_is_left_to_others_nothing_is_started_and_what_runs_goes_on(facts: dict[str, object]) -> None:
    machine, hours = Machine(1.0), "polite hours until 20:00: nothing is started"
    machine.run(30)
    decision = machine.second(share=0.0, polite=hours, **facts)  # type: ignore[arg-type]  # a test's free hand
    assert (decision.limit, decision.binding, decision.reason) == (0, Binding.POLITE, f"polite: {hours}")
    assert decision.held == hours
    assert not decision.admits("k#1", {}) and not decision.admits("other#2", {})
    assert (decision.stop, decision.kill) == ((), ())
    assert [(one.workers, one.words) for one in decision.allows if one.binding is Binding.POLITE] == [(0, hours)]
    assert "polite" not in next(one.words for one in decision.allows if one.binding is Binding.MEMORY)
    again = machine.second()
    assert again.limit >= 1 and not again.held


def test_what_the_user_fixed_is_the_limit() -> None:
    machine = Machine(1.0)
    decision = machine.second(fixed=3)
    assert (decision.limit, decision.binding) == (3, Binding.USER)


def test_a_starved_worker_is_not_taken_for_a_sleeper() -> None:
    """Four unniced threads fill two cores; a niced task of ours gets a tenth of one and wants a whole one."""
    state = State()
    for at in range(20):
        running = tasks(1, use=0.1, age=float(at))
        crowded = reading(
            float(at), cores=2.0, cpu_total=2.0, cpu_ours=0.1, runnable=5.0, running=running, busy=1.0
        )
        state, decision = governor.decide(crowded, state)
    assert decision.limit == 1
    assert decision.binding is Binding.OTHERS


@pytest.mark.parametrize(("wanted", "learned"), [(0.1, 0.1), (0.5, 0.5), (1.0, 1.0), (3.0, 3.0), (None, 0.93)])
def test_what_starved_workers_want_is_learned_where_the_kernel_tells_it_else_guessed(
    wanted: float | None, learned: float
) -> None:
    """Whatever they want, on this machine each gets a tenth of a core beside somebody else's work."""
    state = State()
    for at in range(30):
        running = tuple(msgspec.structs.replace(task, wanted=wanted) for task in tasks(1, use=0.1, age=float(at)))
        crowded = reading(float(at), cpu_total=8.0, cpu_ours=0.1, running=running, busy=1.0)
        state, _ = governor.decide(crowded, state)
    assert state.kinds["k#1"].use == pytest.approx(learned)


def test_a_use_that_was_guessed_too_high_comes_down_as_soon_as_the_kernel_tells() -> None:
    state, uses = State(), []
    for at in range(30):
        told = 0.3 if at >= 10 else None
        running = tuple(msgspec.structs.replace(task, wanted=told) for task in tasks(2, use=0.1, age=float(at)))
        crowded = reading(float(at), cpu_total=8.0, cpu_ours=0.2, running=running, busy=2.0)
        state, _ = governor.decide(crowded, state)
        uses.append(state.kinds["k#1"].use)
    assert uses[9] == pytest.approx(0.93)
    assert uses[29] == pytest.approx(0.3, abs=0.01)


def test_while_the_limit_follows_others_upward_it_is_still_said_to_be_theirs() -> None:
    machine = Machine(use=1.0)
    for _ in range(60):
        machine.second()
    for _ in range(30):
        machine.second(others=6.0)
    for _ in range(12):
        decision = machine.second(others=3.0)
        assert decision.binding is Binding.OTHERS, decision.reason


def test_tasks_that_are_stopped_because_fewer_are_wanted_are_not_laid_to_memory() -> None:
    """Beside others, tasks of minutes are stopped rather than waited for; memory is plenty."""
    state = State()
    for at in range(40):
        running = [msgspec.structs.replace(task, stopped=number >= 4) for number, task in enumerate(
            tasks(8, use=1.0, age=100.0 + at, memory=0.1 * GB))] if at > 20 else tasks(8, use=0.5, age=100.0 + at)
        crowded = reading(float(at), cpu_total=8.0, cpu_ours=4.0, running=tuple(running), busy=8.0)
        state, decision = governor.decide(crowded, state)
    assert decision.held == "stopped tasks go on first"
    assert decision.binding is Binding.OTHERS, decision.reason


# ── memory ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_kind_never_seen_runs_one_task_first() -> None:
    _, decision = governor.decide(reading(1.0, running=tasks(1, age=0.5), busy=1.0), State())
    assert decision.binding is Binding.CANARY
    assert decision.limit == 1
    assert not decision.admits("k#1", {"k#1": 1})


def test_a_claim_needs_no_canary_and_nothing_learned_overrides_it() -> None:
    claimed = (Waiting(kind="k#1", count=9, claim=Claim(memory=4 * GB)),)
    state = State()
    for at in range(20):
        ended = (Ended(kind="k#1", wall=1.0, cpu=1.0, peak=1 * GB, busy=1.0),)
        state, decision = governor.decide(reading(float(at), waiting=claimed, ended=ended), state)
    assert decision.fits["k#1"].need == 4 * GB
    assert not decision.fits["k#1"].brief
    assert decision.admits("k#1", {"k#1": 2})
    assert not decision.admits("k#1", {"k#1": 3})


def test_after_a_lack_of_memory_more_is_taken_to_be_needed() -> None:
    raised = (Waiting(kind="k#1", count=9, claim=Claim(memory=4 * GB), raised=6 * GB),)
    _, decision = governor.decide(reading(1.0, waiting=raised), State())
    assert decision.fits["k#1"].need == 6 * GB


def test_memory_binds_with_its_numbers_in_the_reason() -> None:
    machine = Machine(0.2, memory=3 * GB)
    decision = machine.run(60)
    assert machine.busy == 4  # 15 GB free at first, 0.8 in reserve: a fifth would touch it
    assert decision.binding is Binding.MEMORY
    assert "the next task needs 3.0 GB" in decision.reason


def test_an_idle_machine_gives_the_first_task_its_chance_however_little_is_free() -> None:
    _, decision = governor.decide(reading(1.0, memory_available=0.9 * GB), State())
    assert decision.admits("k#1", {})
    assert decision.limit >= 1


def test_under_pressure_starts_end_first_then_the_youngest_stop_then_go() -> None:
    running = tasks(8, 0.5, 1.7 * GB)
    known = (Ended(kind="k#1", count=9, wall=40.0, cpu=20.0, peak=1.8 * GB, busy=8.0),)
    state, _ = governor.decide(reading(-1.0, ended=known), State())
    for at in range(5):
        state, decision = governor.decide(reading(float(at), running=running, busy=8.0, memory_available=1 * GB), state)
    assert not decision.stop
    assert not decision.kill
    low = reading(5.0, running=running, busy=8.0, memory_available=0.75 * GB)
    state, decision = governor.decide(low, state)
    assert decision.held
    lower = reading(6.0, running=running, busy=8.0, memory_available=0.45 * GB)
    stopping, decision = governor.decide(lower, state)
    assert decision.stop == ("1.7.1", "1.6.1")
    assert not decision.kill
    lowest = reading(6.0, running=running, busy=8.0, memory_available=0.2 * GB)
    _, decision = governor.decide(lowest, state)
    assert decision.kill == ("1.7.1",)
    stopped = tuple(msgspec.structs.replace(task, stopped=task.task in ("1.7.1", "1.6.1")) for task in running)
    calm = reading(20.0, running=stopped, busy=6.0, memory_available=4 * GB)
    _, decision = governor.decide(calm, stopping)
    assert "1.6.1" in decision.resume, "the older goes on first"


def test_the_quick_look_ends_the_youngest_at_once_and_is_told_in_the_next_reading() -> None:
    state, _ = governor.decide(reading(1.0, running=tasks(4, 0.5, 3 * GB), busy=4.0, memory_available=2 * GB), State())
    calm, kill = governor.relieve(1.25, 1.9 * GB, state)
    assert not kill
    assert governor.relieve(1.5, 1.8 * GB, calm)[1] == ()
    after, kill = governor.relieve(1.25, 0.2 * GB, state)
    assert kill == ("1.3.1",)
    left = tasks(4, 0.5, 3 * GB)[:3]
    told = reading(2.0, running=left, busy=3.0, memory_available=3 * GB, relieved={"1.3.1": 1.25})
    assert governor.decide(told, after)[1] == governor.decide(told, state)[1], "a replay knows the readings alone"


def test_the_last_task_is_never_ended() -> None:
    state, decision = governor.decide(
        reading(1.0, running=tasks(1, 0.5, 14 * GB), busy=1.0, memory_available=0.01 * GB), State()
    )
    assert not decision.kill
    assert not decision.stop
    assert not governor.relieve(1.25, 0.0, state)[1]


def test_a_brief_kind_needs_its_peak_also_when_no_look_finds_it_running() -> None:
    state = State()
    for at in range(10):
        ended = (Ended(kind="k#1", count=100, wall=0.7, cpu=0.1, peak=0.1 * GB, busy=70.0),)
        state, decision = governor.decide(reading(float(at), ended=ended, busy=70.0), state)
    assert decision.fits["k#1"].need == pytest.approx(0.1 * GB)
    assert decision.fits["k#1"].counted == 70.0
    assert decision.fits["k#1"].room == pytest.approx(15 * GB - 0.8 * GB - 7 * GB)


@pytest.mark.parametrize("peak", [0.0, 5e-324, 0.5])
def test_tasks_that_need_not_a_byte_are_not_bounded_by_memory(peak: float) -> None:
    ended = tuple(Ended(kind="k#1", wall=0.1, cpu=0.0, peak=peak, busy=1.0) for _ in range(3))
    _, decision = governor.decide(reading(0.0, ended=ended), State())
    memory = next(allow for allow in decision.allows if allow.binding is Binding.MEMORY)
    assert memory.workers is None


def test_alarm_is_silent_while_the_reserve_is_whole() -> None:
    assert governor.memory_alarm(16 * GB, 4 * GB) == ("", False)


def test_alarm_holds_starts_below_half_the_reserve() -> None:
    words, holds = governor.memory_alarm(16 * GB, 0.7 * GB)
    assert "0.70 GB of 16.0 GB are available" in words
    assert not holds
    assert governor.memory_alarm(16 * GB, 0.3 * GB)[1]


# ── what was measured ─────────────────────────────────────────────────────────────────────────────────────────────


def test_contention_that_no_reading_shows_is_found_by_what_tasks_cost() -> None:
    """Beyond four workers every task needs so much more CPU that less gets done, while all look busy."""
    machine = Machine(1.0)
    for _ in range(400):
        cost = 5.0 * max(1.0, machine.busy / 4) ** 1.5
        ended = (Ended(kind="k#1", count=2, wall=cost, cpu=cost, peak=0.01 * GB, busy=float(machine.busy)),)
        machine.second(ended=ended)
    assert 3 <= machine.state.search.number <= 6


# ── always ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("beside", "limit"), [(0.06, 2), (0.0, 3)])
def test_what_lies_beside_brief_tasks_is_used_by_their_workers_too(beside: float, limit: int) -> None:
    """To start them and to see to their ends takes a part of the cores that no task is told to have used: where two
    workers fill two cores with it, a third would only have them wait for each other."""
    state, busy = State(), 1
    for at in range(12):
        ours = min(2.0, busy * (0.93 + beside))
        ended = (Ended(kind="k#1", count=round(10 * min(2, busy)), wall=0.1 * max(1.0, busy / 2), cpu=0.093, peak=1e6,
                       busy=float(busy)),)  # fmt: skip
        state, decision = governor.decide(
            reading(float(at), cores=2.0, cpu_total=ours, cpu_ours=ours, busy=float(busy), ended=ended), state
        )
        busy = decision.limit
    assert busy == limit


def test_hundreds_of_jobs_that_are_each_a_kind_of_their_own_are_decided_upon() -> None:
    state, names = State(), [f"job-{number}#1" for number in range(1000)]
    for second in range(3):
        ended = tuple(
            Ended(kind=name, wall=0.004, cpu=0.002, peak=1e6, busy=2.0)
            for name in names[300 * second : 300 * second + 300]
        )
        told = reading(1.0 + second, ended=ended, waiting=tuple(Waiting(kind=name, count=1) for name in names[-8:]))
        state, decision = governor.decide(told, state)
        assert decision.limit >= 1
        assert decision.reason


def test_state_survives_being_written_down_and_decides_the_same() -> None:
    machine = Machine(0.6, memory=0.5 * GB)
    machine.run(50)
    again = msgspec.json.decode(msgspec.json.encode(machine.state), type=State)
    later = reading(60.0, running=tasks(6, 0.6), busy=6.0, cpu_total=3.8, cpu_ours=3.6)
    assert governor.decide(later, again) == governor.decide(later, machine.state)


def test_expected_smaller_agrees_with_integration() -> None:
    mean, deviation, bound = 7.2, 1.3, 8.0
    steps = 20_000
    total = 0.0
    for step in range(steps):
        x = mean + deviation * (-8 + 16 * (step + 0.5) / steps)
        density = math.exp(-((x - mean) ** 2) / (2 * deviation**2)) / (deviation * math.sqrt(2 * math.pi))
        total += min(x, bound) * density * deviation * 16 / steps
    assert expected_smaller(mean, deviation, bound) == pytest.approx(total, abs=1e-4)


@given(use=st.floats(0.03, 4.0), cores=st.floats(1.0, 128.0))
def test_the_ceiling_keeps_the_cores_busy_and_is_never_far_beyond(use: float, cores: float) -> None:
    ceiling = alone(cores, use)
    assert ceiling is not None
    assert ceiling * use >= 0.9 * cores or ceiling == MOST
    assert ceiling <= 6 * cores / use + 8


def test_workers_that_can_t_want_more_than_the_cores_at_once_are_not_made_more_for_that_they_might_meet() -> None:
    assert (alone(1.0, 0.98), alone(2.0, 0.98), alone(2.0, 0.97)) == (1, 2, 3)


numbers = st.floats(0, 200, allow_nan=False)
sizes = st.floats(0, 64e9)
some = st.builds(
    Running, task=st.integers(0, 20).map("1.{}.1".format), kind=st.sampled_from(["a#1", "b#2"]), age=st.floats(0, 1e6),
    cpu=numbers, memory=sizes, spent=st.floats(0, 1e6), progress=st.none() | st.floats(0, 1), stopped=st.booleans(),
)
ends = st.builds(
    Ended, kind=st.sampled_from(["a#1", "b#2", "c#3"]), count=st.integers(1, 3000), wall=st.floats(0, 1e5),
    cpu=st.floats(0, 1e5), peak=sizes, busy=st.floats(0, 500), took=st.floats(0, 1e5),
)
lines = st.builds(
    Waiting, kind=st.sampled_from(["a#1", "b#2", "c#3"]), count=st.integers(1, 10**7),
    claim=st.builds(Claim, cpus=st.none() | st.floats(0.1, 64), memory=st.none() | sizes), raised=sizes,
)
readings = st.builds(
    Reading, at=st.floats(0, 1e6), cores=st.floats(0.5, 256), cpu_total=numbers, cpu_ours=numbers, cpu_nice=numbers,
    batch_users=st.integers(0, 5), runnable=st.none() | numbers, memory_total=st.floats(1e8, 1e12),
    memory_available=st.floats(0, 1e12), pressure_memory=st.none() | st.floats(0, 1), busy=st.floats(0, 500),
    running=st.lists(some, max_size=6, unique_by=lambda task: task.task).map(tuple),
    ended=st.lists(ends, max_size=3).map(tuple),
    waiting=st.lists(lines, max_size=3, unique_by=lambda line: line.kind).map(tuple),
    share=st.sampled_from([1.0, 0.5]), fixed=st.none() | st.integers(0, 50), chance=st.floats(0, 1),
)


@settings(max_examples=60)
@given(st.lists(readings, min_size=1, max_size=12))
def test_any_readings_give_sane_decisions_with_a_reason(told: list[Reading]) -> None:
    state = State()
    for one in told:
        state, decision = governor.decide(one, state)
        assert 0 <= decision.limit <= MOST
        assert decision.reason.startswith(decision.binding)
        assert decision.binding in {allow.binding for allow in decision.allows} | {Binding.WORK}
        names = {task.task for task in one.running}
        assert {*decision.stop, *decision.resume, *decision.kill} <= names
        assert not {*decision.stop} & {*decision.resume}
        assert len(decision.kill) < max(1, len(names)), "one always runs on"
        assert "nan" not in decision.reason
    msgspec.json.decode(msgspec.json.encode(state), type=State)
