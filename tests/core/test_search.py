"""The number of workers that gets most done: what is tried, what is kept, what is taken back; on readings alone."""

from __future__ import annotations

import math

import msgspec
import pytest

from gristmill.supervisor.core import governor
from gristmill.supervisor.core.governor import Binding, Claim, Decision, Reading, Running, State, Waiting
from gristmill.supervisor.core.governor.kinds import Kind
from gristmill.supervisor.core.governor.rates import Rates
from gristmill.supervisor.core.governor.search import Probe, Search, Way

GB = 1e9
TOTAL, RESERVE = 64 * GB, 3.2 * GB
ENOUGH = 50 * GB
NEVER = 1e9
START = 1000.0


def remembered(costs: dict[int, float]) -> Rates:
    """A table by which so many workers were all in use for a minute, and a task cost e^… times the usual among them."""
    rates = Rates()
    for workers, cost in costs.items():
        rates = rates.progress(workers, workers, 60.0).charge(workers, cost, 20.0)
    return rates


class Machine:
    """One on which a number was settled on long ago; tasks take five seconds and want a core each."""

    def __init__(
        self, cores: float, number: int, due: Way | None = None, rates: Rates | None = None, wall: float = 5.0
    ) -> None:
        ways: tuple[Way, ...] = ("up", "down", "trim")
        self.cores, self.at = cores, START
        self.state = State(
            at=START, limit=number, mix={"k#1": 1.0}, prevailing="k#1",
            rates={"k#1": remembered({number: 0.0}) if rates is None else rates},
            kinds={"k#1": Kind(ends=20, wall=wall, cpu=wall, use=1.0, costed=20.0)},
            search=Search(number=number, ramping=False, due={way: 0.0 if way == due else NEVER for way in ways}),
        )

    @property
    def number(self) -> int:
        return self.state.search.number

    @property
    def probe(self) -> Probe | None:
        return self.state.search.probe

    def look(self, running: int, stopped: int = 0, share: float = 1.0, **facts: object) -> Decision:
        """The next second, with so many that run, each for this share of the time; the youngest are stopped."""
        self.at += 1.0
        active = running - stopped
        each = min(share, self.cores / active)
        age = self.state.kinds["k#1"].wall / 2
        tasks = tuple(
            Running(
                task=f"1.{n}.1", kind="k#1", age=age + running - n, cpu=each if n < active else 0.0, memory=GB,
                progress=0.5 if age > 60 else None, stopped=n >= active,
            )
            for n in range(running)
        )
        plain: dict[str, object] = {
            "at": self.at, "cores": self.cores, "cpu_total": active * each, "cpu_ours": active * each,
            "memory_total": TOTAL, "memory_available": ENOUGH, "busy": float(active), "running": tasks,
            "waiting": (Waiting(kind="k#1", count=1000, claim=Claim(memory=GB)),),
        }
        told = Reading(**{**plain, **facts})  # type: ignore[arg-type]  # a test's free hand
        self.state, decision = governor.decide(told, self.state)
        return decision


# ── more ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_higher_number_that_memory_does_not_let_be_reached_is_kept_until_it_does() -> None:
    machine = Machine(20.0, 10, "up")
    decision = machine.look(10, memory_available=RESERVE + 1.5 * GB)
    assert (machine.number, decision.limit) == (13, 11), "room for one more"
    for _ in range(20):
        decision = machine.look(11, memory_available=RESERVE + 0.5 * GB)
        assert (machine.number, machine.probe, decision.limit) == (13, None, 11)
    assert machine.state.search.every == {}, "it does not count as failed"
    assert machine.look(11).limit == 13


@pytest.mark.parametrize("facts", [{"waiting": ()}, {}])
def test_a_higher_number_that_was_not_reached_for_want_of_work_or_workers_has_failed(facts: dict[str, object]) -> None:
    machine = Machine(20.0, 10, "up")
    assert machine.look(10).limit == 13
    assert machine.look(10, **facts).limit == 10  # type: ignore[arg-type]  # a test's free hand
    assert machine.state.search.every == {"up": 60.0}


def test_of_a_number_that_is_known_to_get_less_done_half_way_is_tried_instead() -> None:
    machine = Machine(20.0, 10, "up", remembered({10: 0.0, 13: 0.5}))
    decision = machine.look(10)
    assert decision.limit == 12
    assert "trying 12 instead of 10 workers" in decision.reason


def test_a_number_that_seems_to_get_a_little_less_done_is_tried_again() -> None:
    machine = Machine(20.0, 10, "up", remembered({10: 0.0, 13: 0.27}))
    assert machine.look(10).limit == 13


def test_where_half_way_is_known_for_worse_as_well_nothing_is_tried_until_that_is_forgotten() -> None:
    rates = remembered({10: 0.0, 12: 0.5, 13: 0.7})
    machine = Machine(20.0, 10, "up", rates)
    assert (machine.look(10).limit, machine.probe) == (10, None)
    assert machine.state.search.due["up"] == machine.at + 30
    machine = Machine(20.0, 10, "up", rates.fade(3000.0, 0.0))
    assert machine.look(10).limit == 13


# ── fewer ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_where_memory_lets_fewer_run_still_fewer_are_tried_from_there_and_given_back_what_was_before() -> None:
    machine = Machine(64.0, 40, "down")
    decision = machine.look(36, memory_available=RESERVE)
    assert decision.limit == 28, "a fifth less than run"
    assert "trying 28 instead of 36 workers" in decision.reason
    for _ in range(12):
        decision = machine.look(28, memory_available=RESERVE + 8.5 * GB)
    assert (machine.number, machine.probe) == (40, None), "28 get less done than 36"
    assert decision.limit == 36, "which is all that memory allows"
    assert machine.state.search.every == {"down": 600.0}


def test_slack_is_looked_for_from_the_number_that_runs_and_given_back_as_well() -> None:
    machine = Machine(64.0, 40, "trim")
    assert machine.look(36, memory_available=RESERVE).limit == 31
    for _ in range(8):
        machine.look(31, memory_available=RESERVE + 5.5 * GB)
    assert (machine.number, machine.probe) == (40, None)


def test_fewer_than_memory_lets_run_are_kept_where_they_get_more_done() -> None:
    machine = Machine(64.0, 40, "down", remembered({36: 0.5}).charge(28, 0.0, 20.0))
    assert machine.look(36, memory_available=RESERVE).limit == 28
    for _ in range(12):
        machine.look(28, memory_available=RESERVE + 8.5 * GB)
    assert (machine.number, machine.probe) == (28, None)


def test_between_two_tasks_one_less_may_run_than_the_number_that_a_probe_starts_from() -> None:
    machine = Machine(64.0, 40, "down")
    assert machine.look(38).limit == 32, "a fifth less than the number"


def test_while_none_has_ended_a_probe_lasts_as_if_tasks_took_what_the_oldest_has_run() -> None:
    machine = Machine(30.0, 30, "down")
    machine.state = msgspec.structs.replace(machine.state, kinds={"k#1": Kind(use=1.0)})
    machine.look(30)  # the oldest for 30 s
    assert machine.probe is not None
    assert machine.probe.until - machine.probe.since == pytest.approx(60)


@pytest.mark.parametrize(("cost", "kept"), [(1.0, 28), (0.0, 36)])
def test_fewer_than_a_number_that_never_ran_are_compared_with_the_next_higher_that_did(cost: float, kept: int) -> None:
    """From 45 it was on its way to 36 when still fewer were tried."""
    machine = Machine(64.0, 36, rates=remembered({45: cost, 60: 0.0}).charge(28, 0.0, 20.0))
    probe = Probe("down", 36, 28, START - 12, START, START + 20, 36)
    search = msgspec.structs.replace(machine.state.search, number=28, probe=probe)
    machine.state = msgspec.structs.replace(machine.state, search=search)
    for _ in range(3):
        machine.look(28)
    assert (machine.number, machine.probe) == (kept, None)


def test_when_others_come_in_between_the_number_of_before_is_remembered() -> None:
    machine = Machine(64.0, 40, "down")
    assert machine.look(36, memory_available=RESERVE).limit == 28
    for _ in range(4):
        machine.look(28, cpu_total=58.0, cpu_ours=28.0)
    assert (machine.number, machine.probe) == (40, None)


def test_tasks_that_are_stopped_because_fewer_are_tried_are_not_laid_to_memory() -> None:
    machine = Machine(20.0, 10, "down", wall=600.0)
    decision = machine.look(10)
    assert decision.stop == ("1.9.1", "1.8.1"), "they would run for minutes"
    for _ in range(5):
        decision = machine.look(10, stopped=2)
        assert decision.held == "stopped tasks go on first"
        assert (decision.binding, decision.reason) == (Binding.PROBE, "probe: trying 8 instead of 10 workers")
        words = {allow.binding: allow.words for allow in decision.allows}
        assert "stopped" not in words[Binding.MEMORY]


def test_when_the_number_of_before_is_given_back_those_that_were_stopped_go_on_and_memory_is_not_blamed() -> None:
    machine = Machine(20.0, 10, "down", wall=600.0)
    machine.look(10)
    while machine.probe is not None:
        decision = machine.look(10, stopped=2)
    assert decision.resume == ("1.8.1", "1.9.1")
    assert (decision.held, decision.binding) == ("stopped tasks go on first", Binding.MEASURED)


# ── full cores ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("number", "idle", "after"),
    [(12, 0.0, None), (13, 0.0, 20), (14, 0.0, 20), (15, 0.0, 6), (30, 0.0, 6), (13, 0.6, None), (15, 0.6, None)],
)
def test_more_than_the_full_cores_can_feed_are_taken_back_the_sooner_the_more(
    number: int, idle: float, after: int | None
) -> None:
    machine, taken = Machine(10.0, number), None
    for second in range(1, 61):
        limit = machine.look(number, cpu_total=10.0 - idle, cpu_ours=10.0 - idle).limit
        if limit != number:
            taken = second
            break
    assert taken == after
    assert machine.number == (number if after is None else 10)


@pytest.mark.parametrize(
    ("number", "visited", "idle", "taken"),
    [(12, 16, 0.0, 12), (12, 16, 0.6, 16), (12, 10, 0.0, 10), (12, 10, 0.6, 10), (11, 16, 0.0, 11), (11, 16, 0.6, 16)],
)
def test_on_full_cores_no_more_workers_are_jumped_to_whatever_they_once_seemed_to_get_done(
    number: int, visited: int, idle: float, taken: int
) -> None:
    rates = Rates()
    for workers, used in ((number, 10.0), (visited, 14.0)):
        rates = rates.progress(workers, used, 60.0).charge(workers, 0.0, 20.0)
    machine = Machine(10.0, number, rates=rates)
    machine.look(number, cpu_total=10.0 - idle, cpu_ours=10.0 - idle)
    assert machine.number == taken


def test_after_a_jump_to_fewer_that_get_more_done_fewer_still_are_tried_soon() -> None:
    machine = Machine(64.0, 40, rates=remembered({40: 0.6, 30: 0.0}))
    machine.look(40)
    assert machine.number == 30
    for _ in range(8):
        machine.look(30)
    assert machine.probe is not None and (machine.probe.way, machine.probe.to) == ("down", 24)


def crowded(shares: dict[int, float]) -> Rates:
    """Of so many workers each runs so much of the time; a task that ended has cost the same among any."""
    rates = Rates()
    for workers, share in shares.items():
        rates = rates.progress(workers, workers * share, 60.0).charge(workers, 0.0, 20.0)
        rates = rates.watch(workers, math.log(share / (1 - share)), 60.0)
    return rates


@pytest.mark.parametrize(("few", "many", "kept"), [(0.4, 0.65, 32), (0.4, 0.4, 40), (0.5, 0.4, 40)])
def test_fewer_who_run_for_less_between_two_waits_are_kept_long_before_any_has_ended(
    few: float, many: float, kept: int
) -> None:
    machine = Machine(64.0, 40, "down", crowded({32: few, 40: many}), wall=600.0)
    assert machine.look(40, share=many).limit == 32, "tasks of minutes as well: they show it at once"
    seconds = 0
    while machine.probe is not None and seconds < 400:
        machine.look(32, share=few)
        seconds += 1
    assert machine.number == kept
    assert (seconds < 10) == (kept == 32)


def test_more_who_run_for_longer_between_two_waits_are_not_kept_nor_tried_again_soon() -> None:
    machine = Machine(40.0, 32, "up", crowded({32: 0.4}), wall=10.0)
    assert machine.look(32, share=0.4).limit == 40
    while machine.probe is not None:
        machine.look(40, share=0.8)
    assert machine.number == 32
    tried = Machine(40.0, 32, "up", crowded({32: 0.4, 40: 0.65}))
    assert tried.look(32, share=0.4).limit == 36, "half-way"


def test_those_who_use_little_since_they_are_few_are_not_taken_for_others_who_need_little() -> None:
    for many, ramping in ((0.15, True), (0.8, False)):
        machine = Machine(64.0, 20, rates=crowded({20: 0.15, 40: many}))
        for _ in range(40):
            machine.look(20, share=0.15)
        assert machine.state.search.ramping == ramping


def test_the_search_survives_being_written_down_in_the_middle_of_a_probe() -> None:
    machine = Machine(64.0, 40, "down")
    machine.look(36, memory_available=RESERVE)
    again = msgspec.json.decode(msgspec.json.encode(machine.state), type=State)
    assert again.search == machine.state.search
    assert again.search.probe is not None and again.search.probe.back == 40
