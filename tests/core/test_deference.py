"""Which tasks are stopped because others want the cores, or because far too many run, and which go on again."""

from __future__ import annotations

from gristmill.supervisor.core import governor
from gristmill.supervisor.core.governor import Claim, Decision, Reading, Running, State, Waiting
from gristmill.supervisor.core.governor.kinds import Kind
from gristmill.supervisor.core.governor.search import Search

GB = 1e9
CORES = 16.0
WIDE, NARROW, BRIEF, SLEEPER = "wide#1", "narrow#1", "brief#1", "sleeper#1"
USES = {WIDE: 4.0, NARROW: 0.5, BRIEF: 1.0, SLEEPER: 0.02}
WALLS = {WIDE: 300.0, NARROW: 300.0, BRIEF: 2.0, SLEEPER: 300.0}


class Machine:
    """Sixteen cores on which tasks of four threads run beside such as use half a core; `number` was found best."""

    def __init__(self, number: int) -> None:
        self.at = 0.0
        kinds = {
            name: Kind(ends=20, wall=WALLS[name], cpu=WALLS[name] * use, use=use, claim=0.1 * GB)
            for name, use in USES.items()
        }
        never = {"up": 1e9, "down": 1e9, "trim": 1e9}
        self.state = State(limit=number, kinds=kinds, search=Search(number=number, ramping=False, due=never))  # type: ignore[arg-type]
        self.stopped: set[str] = set()

    def second(
        self, kinds: list[str], others: float = 0.0, fixed: int | None = None, age: float = 100.0
    ) -> Decision:
        """The next look at tasks of these kinds, the oldest first; what is decided is done."""
        self.at += 1.0
        names = [f"{number}.0.1" for number in range(len(kinds))]
        wanted = sum(USES[kind] for name, kind in zip(names, kinds, strict=True) if name not in self.stopped)
        ours = min(wanted, CORES - others)
        tasks = tuple(
            Running(
                task=name, kind=kind, age=age - number / 100, memory=0.1 * GB, stopped=name in self.stopped,
                cpu=0.0 if name in self.stopped else USES[kind] * ours / wanted,
            )
            for number, (name, kind) in enumerate(zip(names, kinds, strict=True))
        )
        told = Reading(
            at=self.at, cores=CORES, cpu_total=ours + others, cpu_ours=ours, memory_total=64 * GB,
            memory_available=50 * GB, busy=float(len(kinds) - len(self.stopped)), running=tasks, fixed=fixed,
            waiting=tuple(Waiting(kind=kind, count=99, claim=Claim(memory=0.1 * GB)) for kind in sorted(set(kinds))),
        )
        self.state, decision = governor.decide(told, self.state)
        self.stopped = (self.stopped | set(decision.stop)) - set(decision.resume)
        return decision

    def used(self, kinds: list[str]) -> float:
        return sum(USES[kind] for number, kind in enumerate(kinds) if f"{number}.0.1" not in self.stopped)


MIXED = [NARROW, WIDE, NARROW, WIDE, NARROW, WIDE, NARROW, NARROW]
"""Eight tasks that use 14.5 cores."""


def test_beside_others_tasks_are_stopped_by_the_cores_that_they_use() -> None:
    machine = Machine(number=8)
    for _ in range(20):
        machine.second(MIXED, others=8.0)
    assert 4.0 <= machine.used(MIXED) <= 8.6, machine.stopped
    assert "0.0.1" not in machine.stopped, "the oldest goes on"


def test_when_others_have_left_all_go_on() -> None:
    machine = Machine(number=8)
    for _ in range(20):
        machine.second(MIXED, others=8.0)
    assert machine.stopped
    for _ in range(60):
        machine.second(MIXED)
    assert not machine.stopped


def test_what_fits_beside_others_is_not_stopped_and_let_go_on_by_turns() -> None:
    machine = Machine(number=8)
    for _ in range(20):
        machine.second(MIXED, others=8.0)
    changes = [decision for _ in range(60) if (decision := machine.second(MIXED, others=8.0)).stop or decision.resume]
    assert len(changes) <= 2, changes


def test_tasks_that_end_soon_are_waited_for() -> None:
    machine = Machine(number=16)
    for _ in range(20):
        assert not machine.second([BRIEF] * 16, others=8.0, age=1.5).stop
    for _ in range(20):
        machine.second([BRIEF] * 16, others=8.0, age=100.0)
    assert machine.stopped, "those that take longer than such tasks take are not"


def test_far_more_than_the_cores_can_feed_are_stopped_after_a_while() -> None:
    machine = Machine(number=6)
    many = [WIDE] * 12  # 48 threads on 16 cores: they began when they used little
    for second in range(15):
        assert not machine.second(many).stop, second
    for _ in range(15):
        machine.second(many)
    assert 12 - len(machine.stopped) == machine.state.search.number
    assert {f"{n}.0.1" for n in range(4)}.isdisjoint(machine.stopped), "the oldest go on"


def test_who_hardly_computes_is_not_stopped_for_the_cores() -> None:
    machine = Machine(number=12)
    many = [WIDE] * 12 + [SLEEPER] * 12
    for _ in range(40):
        machine.second(many)
    assert machine.stopped
    assert {f"{n}.0.1" for n in range(12, 24)}.isdisjoint(machine.stopped)


def test_a_number_of_sleepers_does_not_keep_stopped_tasks_from_cores_that_idle() -> None:
    machine = Machine(number=12)
    machine.stopped = {"1.0.1", "2.0.1", "3.0.1", "4.0.1"}
    many = [WIDE] * 5 + [SLEEPER] * 12  # thirteen are active: more than the number
    for _ in range(10):
        machine.second(many)
    assert 12.0 <= machine.used(many) <= 16.5


def test_a_number_that_the_user_has_set_is_kept_to_however_full_the_cores_are() -> None:
    machine = Machine(number=6)
    for _ in range(60):
        assert not machine.second([WIDE] * 12, fixed=12).stop
