"""What happens when memory comes worse than forecast: who is ended, how many run from then on, what holds starts."""

from __future__ import annotations

import msgspec
import pytest

from gristmill.supervisor.core import governor
from gristmill.supervisor.core.governor import Claim, Decision, Reading, Running, State, Waiting

GB = 1e9
TOTAL, RESERVE = 64 * GB, 3.2 * GB
PLENTY = 20 * GB
WORK = (Waiting(kind="k#1", count=1000, claim=Claim(memory=GB)),)
ENDED = "memory: tasks had to be ended when more than {} ran"


class Machine:
    """A machine of 64 GB on which the user allows twenty workers; each task claims and holds one GB."""

    def __init__(self) -> None:
        self.at, self.state = 0.0, State()

    def second(self, running: int, available: float = PLENTY, stopped: int = 0, each: float = GB,
               **facts: object) -> Decision:
        """One look a second after the last; the youngest of those that run are stopped."""
        self.at += 1.0
        tasks = tuple(
            Running(task=f"1.{n}.1", kind="k#1", age=100.0 - n, cpu=0.1, memory=each, stopped=n >= running - stopped)
            for n in range(running)
        )
        plain: dict[str, object] = {
            "at": self.at, "cores": 8.0, "cpu_total": 0.1 * running, "cpu_ours": 0.1 * running, "memory_total": TOTAL,
            "memory_available": available, "busy": float(running - stopped), "running": tasks, "waiting": WORK,
            "fixed": 20,
        }
        told = Reading(**{**plain, **facts})  # type: ignore[arg-type]  # a test's free hand
        self.state, decision = governor.decide(told, self.state)
        return decision

    def glance(self, after: float, available: float) -> tuple[str, ...]:
        """The tasks to end at once, so long after the last look."""
        self.state, kill = governor.relieve(self.at + after, available, self.state)
        return kill

    def until_one_more(self, running: int, **facts: object) -> int:
        """Seconds until another may be started beside so many."""
        for seconds in range(1, 100):
            if self.second(running, **facts).admits("k#1", {"k#1": running}):  # type: ignore[arg-type]
                return seconds
        raise AssertionError("nothing is started any more")


@pytest.fixture
def machine() -> Machine:
    """One on which two of eight tasks have just been ended for lack of memory."""
    made = Machine()
    made.second(8)
    ended = made.second(8, available=0.3 * RESERVE)
    assert ended.kill == ("1.7.1", "1.6.1")
    return made


def test_after_tasks_had_to_be_ended_no_more_run_than_were_left(machine: Machine) -> None:
    decision = machine.second(6)
    assert decision.held == ENDED.format(6)
    assert not decision.admits("k#1", {"k#1": 6})
    assert machine.second(5).admits("k#1", {"k#1": 5}), "one that ends by itself is followed by another"
    assert not machine.second(6).admits("k#1", {"k#1": 6})


def test_one_more_may_run_each_half_minute_while_work_waits(machine: Machine) -> None:
    assert machine.until_one_more(6) in (29, 30, 31)
    assert machine.second(7).held == ENDED.format(7)
    assert machine.until_one_more(7) in (28, 29, 30, 31)
    assert machine.second(8).held == ENDED.format(8)


def test_without_work_that_waits_nothing_is_known_anew_and_the_number_stays(machine: Machine) -> None:
    for _ in range(100):
        machine.second(6, waiting=())
    assert machine.second(6).held == ENDED.format(6)


def test_it_is_forgotten_once_far_fewer_run(machine: Machine) -> None:
    for _ in range(50):
        machine.second(2)  # the number is 7 by now: two that run, and such as follow them, may come to that
    assert machine.second(7, available=PLENTY - 5 * GB).held == ENDED.format(7)
    machine.second(1)
    decision = machine.second(15)
    assert (decision.held, machine.state.brake.cap) == ("", None)
    assert decision.admits("k#1", {"k#1": 15})


def test_it_is_forgotten_where_most_of_the_memory_is_free(machine: Machine) -> None:
    assert machine.second(6, available=30 * GB).held == ENDED.format(6)
    assert machine.second(6, available=45 * GB).admits("k#1", {"k#1": 6}), "those that were too many run no more"


def test_a_second_lack_counts_from_what_is_left_then(machine: Machine) -> None:
    for _ in range(4):
        machine.second(6)  # until all that was ended has given its memory back
    assert len(machine.second(6, available=0.3 * RESERVE).kill) == 2
    assert machine.second(4).held == ENDED.format(4)


def test_what_was_ended_between_two_looks_counts_as_well() -> None:
    machine = Machine()
    machine.second(8)
    kill = machine.glance(0.5, 0.3 * RESERVE)
    assert len(kill) == 2
    assert machine.second(6, relieved=dict.fromkeys(kill, machine.at + 0.5)).held == ENDED.format(6)


def test_however_many_had_to_be_ended_one_may_run() -> None:
    machine = Machine()
    machine.second(2)
    assert len(machine.second(2, available=0.0).kill) == 1
    assert machine.second(1).held == ENDED.format(1)
    assert machine.second(0).held == ""


def test_it_is_forgotten_with_a_restart_of_the_daemon(machine: Machine) -> None:
    machine.state = msgspec.json.decode(msgspec.json.encode(governor.lasting(machine.state)), type=State)
    assert machine.second(6).held == ""


def test_what_others_give_back_makes_room_for_as_many_more(machine: Machine) -> None:
    """They had taken what was lacking: those that were ended had not been too many."""
    for _ in range(3):
        machine.second(6)
    assert not machine.second(6, available=PLENTY + 3 * GB).admits("k#1", {"k#1": 6}), "that may be chance"
    back = machine.second(6, available=PLENTY + 10 * GB)
    assert back.admits("k#1", {"k#1": 6}) and back.admits("k#1", {"k#1": 8})
    assert not machine.second(9, available=PLENTY + 7 * GB).admits("k#1", {"k#1": 9})


def test_who_takes_memory_by_the_gigabyte_a_second_is_made_room_for_before_it_is_gone() -> None:
    machine = Machine()
    machine.second(8, available=12 * GB)
    slow = machine.state
    assert machine.second(8, available=4.5 * GB).kill, "in a second it would be gone"
    machine.state, machine.at = slow, machine.at - 1
    for available in (10.5, 9.0, 7.5, 6.0, 4.5):
        assert not machine.second(8, available=available * GB).kill


def test_between_two_looks_a_fall_is_no_start_of_ours_where_nothing_is_started() -> None:
    machine = Machine()
    for available in (6 * GB, 0.95 * RESERVE + GB):
        machine.second(8, available=6 * GB)
        assert not machine.glance(0.25, available)
    assert machine.second(8, available=RESERVE - 1).held == "memory: the reserve would be touched"
    assert not machine.glance(0.25, RESERVE - 0.2 * GB)
    assert len(machine.glance(0.5, RESERVE - 1.4 * GB)) == 2, "faster than before"


def test_what_was_ended_counts_as_coming_only_until_it_is_there() -> None:
    machine = Machine()
    machine.second(8, available=RESERVE)
    assert len(machine.glance(0.25, 0.3 * RESERVE)) == 2
    assert not machine.glance(1.5, 0.3 * RESERVE), "it is on its way"
    assert not machine.glance(1.75, 0.3 * RESERVE + 2 * GB)
    assert machine.glance(2.0, 0.3 * RESERVE), "it came, and is gone again"


def test_while_an_ended_task_is_seen_its_memory_is_waited_for_three_seconds_at_most() -> None:
    machine, low = Machine(), 0.3 * RESERVE
    machine.second(8, available=0.4 * RESERVE)
    assert machine.second(8, available=low).kill == ("1.7.1", "1.6.1")
    for _ in range(2):
        waiting = machine.second(8, available=low)
        assert (waiting.kill, waiting.stop) == ((), ()), "two GB are about to come"
    assert machine.second(8, available=low).kill == ("1.7.1", "1.6.1"), "they did not"


def test_an_ended_task_that_is_seen_no_more_has_given_what_it_had() -> None:
    machine, low = Machine(), 0.3 * RESERVE
    machine.second(8, available=2 * RESERVE)
    assert machine.second(8, available=low).kill == ("1.7.1", "1.6.1")
    assert machine.second(6, available=low).kill == ("1.5.1", "1.4.1"), "somebody else took it"


def test_what_a_quick_look_ended_is_waited_for_by_the_next_quick_looks_three_seconds_at_most() -> None:
    machine, low = Machine(), 0.3 * RESERVE
    machine.second(8, available=RESERVE)
    assert machine.glance(0.5, low) == ("1.7.1", "1.6.1")
    assert machine.glance(0.75, low) == ()
    assert machine.glance(3.0, low) == ()
    assert machine.glance(3.75, low) == ("1.5.1", "1.4.1")


@pytest.mark.parametrize(
    ("before", "now", "ends"),
    [
        (4.0, 1.1, False),  # steep, and all of the reserve is left: tasks that start as expected
        (2.0, 1.05, False),
        (2.0, 0.95, True),  # steep, and into the reserve
        (1.0, 0.95, False),  # into the reserve, and slowly
        (0.4, 0.34, True),  # slowly, and hardly any is left
    ],
)
def test_a_steep_fall_is_a_danger_below_the_reserve_only(before: float, now: float, ends: bool) -> None:
    machine = Machine()
    machine.second(8, available=before * RESERVE)
    assert bool(machine.glance(0.25, now * RESERVE)) is ends


def test_the_last_task_stands_still_while_others_have_what_it_still_needs() -> None:
    machine = Machine()
    machine.second(1, available=40 * GB, each=0.5 * GB)
    for _ in range(3):
        assert not machine.second(1, available=0.7 * GB, each=0.5 * GB).stop, "that is enough for it"
    assert machine.second(1, available=0.2 * GB, each=0.5 * GB).stop == ("1.0.1",)
    for _ in range(60):
        waits = machine.second(1, available=0.2 * GB, stopped=1, each=0.5 * GB)
        assert not waits.resume and not waits.kill
    assert machine.second(1, available=10 * GB, stopped=1, each=0.5 * GB).resume == ("1.0.1",)


def test_the_last_task_goes_on_where_nobody_took_what_it_needs() -> None:
    machine = Machine()
    for _ in range(3):
        assert not machine.second(1, available=0.2 * GB, each=0.5 * GB).stop
    assert machine.second(1, available=0.2 * GB, stopped=1, each=0.5 * GB).resume == ("1.0.1",)


def test_memory_that_others_took_lowers_the_limit_at_once_and_a_moment_between_two_tasks_does_not() -> None:
    machine = Machine()
    for _ in range(15):
        machine.second(8, available=11 * GB, fixed=None)
    before = machine.second(8, available=11 * GB, fixed=None).limit
    calm = machine.state
    assert machine.second(9, available=RESERVE + GB, fixed=None).limit < before
    machine.state = calm
    assert machine.second(8, available=RESERVE + 1.4 * GB, each=1.8 * GB, fixed=None).limit == before


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, ""),
        ({"available": 0.9 * RESERVE}, "memory: the reserve would be touched"),
        ({"available": 15 * GB, "pressure_memory": 0.2}, "memory: tasks wait for it (pressure)"),
        ({"available": 17 * GB, "pressure_memory": 0.2}, ""),
        ({"stopped": 1}, "memory: stopped tasks go on first"),
        ({"stopped": 1, "available": 0.9 * RESERVE}, "memory: the reserve would be touched"),
    ],
)
def test_what_holds_starts_is_said(facts: dict[str, object], words: str) -> None:
    machine = Machine()
    machine.second(4)
    decision = machine.second(4, **facts)  # type: ignore[arg-type]  # a test's free hand
    assert decision.held == words
    assert decision.admits("k#1", {"k#1": 4}) is not bool(words)
    if words:
        assert words in decision.reason


@pytest.mark.parametrize("available", [0.0, 0.3 * RESERVE, 0.9 * RESERVE, PLENTY])
def test_where_nothing_runs_nothing_is_held(machine: Machine, available: float) -> None:
    decision = machine.second(0, available=available)
    assert decision.held == ""
    assert decision.admits("k#1", {}), "one gets its chance"
