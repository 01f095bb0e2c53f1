"""Memory that is left to another user's batch work: when, how much, for how long."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gristmill.supervisor.core import governor
from gristmill.supervisor.core.governor import Claim, Decision, Reading, Running, State, Waiting
from gristmill.supervisor.core.governor.search import Search

GB = 1e9
CORES, TOTAL, RESERVE = 16.0, 64 * GB, 3.2 * GB
USABLE = TOTAL - RESERVE
OFFERED = 0.15 * USABLE


class Machine:
    """One with 64 GB on which our tasks claim and hold two each; somebody else's batch work has come."""

    def __init__(self) -> None:
        self.at = 0.0
        self.state = State(limit=30, search=Search(number=30, ramping=False))

    def second(self, ours: int, theirs: float, batch: float = 1.0, niced: bool = True) -> Decision:
        """The next look: so many tasks of ours, so many bytes and cores of theirs."""
        self.at += 1.0
        tasks = tuple(
            Running(task=f"1.{n}.1", kind="k#1", age=100.0, cpu=0.3, memory=2 * GB) for n in range(ours)
        )
        told = Reading(
            at=self.at, cores=CORES, cpu_total=batch + 0.3 * ours, cpu_ours=0.3 * ours, cpu_nice=batch,
            batch_users=int(batch > 0), memory_total=TOTAL, memory_available=TOTAL - 2 * GB * ours - theirs,
            busy=float(ours), running=tasks, waiting=(Waiting(kind="k#1", count=99, claim=Claim(memory=2 * GB)),),
            niced=niced,
        )
        self.state, decision = governor.decide(told, self.state)
        return decision

    def after(self, seconds: int, ours: int, theirs: float, batch: float = 1.0, niced: bool = True) -> Decision:
        for _ in range(seconds):
            decision = self.second(ours, theirs, batch, niced)
        return decision

    @property
    def offered(self) -> float:
        return self.state.offer.size


def test_who_holds_more_than_his_half_leaves_room_for_another_users_first_task() -> None:
    machine = Machine()
    decision = machine.after(5, ours=28, theirs=2 * GB)
    assert machine.offered == pytest.approx(OFFERED)
    assert not machine.second(24, 2 * GB).admits("k#1", {"k#1": 24}), "what comes free is left to him"
    assert machine.second(22, 2 * GB).admits("k#1", {"k#1": 22}), "and no more than that"
    assert "9.1 GB for another user's batch work" in "".join(allow.words for allow in decision.allows)


@pytest.mark.parametrize(
    ("case", "ours", "theirs", "batch", "niced"),
    [
        ("nobody is there", 28, 2 * GB, 0.0, True),
        ("he has his half of the cores", 20, 20 * GB, 7.9, True),
        ("we hold less than our half", 14, 2 * GB, 1.0, True),
        ("he holds his half of the memory", 16, 31 * GB, 1.0, True),
        ("our tasks are not niced: his give way by themselves", 28, 2 * GB, 1.0, False),
    ],
)
def test_otherwise_nothing_is_left(case: str, ours: int, theirs: float, batch: float, niced: bool) -> None:
    machine = Machine()
    machine.after(8, ours, theirs, batch, niced)
    assert machine.offered == 0, case


def test_an_offer_that_is_taken_is_made_again_until_both_hold_the_same() -> None:
    machine = Machine()
    for ours, theirs in ((24, 2 * GB), (20, 9 * GB), (17, 16 * GB)):  # he takes what tasks of ours have left
        machine.after(15, ours, theirs)
        assert machine.offered > 0, ours
    machine.after(3, 15, 25 * GB)
    assert machine.offered == 0, "both hold about a half"


def test_one_that_nobody_takes_is_withdrawn_and_made_more_and_more_rarely() -> None:
    machine = Machine()
    standing = []
    for _ in range(900):
        machine.second(22, 2 * GB)
        standing.append(machine.offered > 0)
    begins = [n for n in range(1, 900) if standing[n] and not standing[n - 1]]
    assert len(begins) >= 3, "he is asked again"
    pauses = [later - earlier for earlier, later in pairwise(begins)]
    assert all(later > 1.5 * earlier for earlier, later in pairwise(pauses)), pauses
    assert sum(standing) < 0.2 * len(standing), "memory that nobody wants is used most of the time"
