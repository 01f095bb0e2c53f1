"""The book-keeping of trees' CPU time at the moments that real processes can't be made to hit: values alone."""

from __future__ import annotations

import os

from gristmill.supervisor.edge.sampler.accounts import Accounts
from gristmill.supervisor.edge.sampler.census import Process, Roll

TICKS = os.sysconf("SC_CLK_TCK")


class Family:
    """Processes whose lines of /proc/PID/stat are told, in seconds; all of them below pid 10."""

    def __init__(self) -> None:
        self.living: dict[int, Process] = {}
        self.accounts = Accounts()

    def told(self, pid: int, own: int, ended: int = 0, parent: int = 10, root: int = 10, nice: int = 0) -> None:
        """A line of its; what a new one has used until now counts."""
        above = 1 if pid == 10 else parent
        times = f"{own * TICKS} 0 {ended * TICKS} 0"
        line = f"{pid} (a (b) c) S {above} 0 0 0 0 0 0 0 0 0 {times} 20 {nice} 1 0 {100 + pid} 4096 25 0"
        process = self.living.setdefault(pid, Process(pid))
        assert process.take(line.encode())
        process.root = root

    def look(self, *gone: int) -> float:
        """The seconds that the whole tree used."""
        left = [self.living.pop(pid) for pid in gone]
        use = self.accounts.add_up(Roll(self.living, left))
        for process in self.living.values():  # until they are told anew
            process.plus_own = process.plus_ended = process.plus_user = process.plus_ended_user = 0
        return use.trees[10]


def test_a_child_that_ends_is_not_counted_again_in_its_parent() -> None:
    family = Family()
    family.told(10, 1)
    family.told(11, 900)
    assert family.look() == 901
    family.told(10, 2, ended=903)  # it used three more before it ended
    assert family.look(11) == 4


def test_a_child_that_is_gone_before_its_parent_shows_it() -> None:
    family = Family()
    family.told(10, 1)
    family.told(11, 900)
    family.look()
    family.told(10, 2)  # read just before it waited
    assert family.look(11) == 1
    family.told(10, 3, ended=901)
    assert family.look() == 2


def test_time_that_comes_to_light_nowhere_is_given_up() -> None:
    family = Family()
    family.told(10, 1)
    family.told(11, 900)
    family.look()
    assert family.look(11) == 0
    family.told(10, 5)
    assert family.look() == 4
    family.told(10, 6, ended=7)  # another child's, never seen
    assert family.look() == 8
    assert family.accounts.spent[10] == 901 + 4 + 8


def test_children_never_seen_are_counted_when_they_are_waited_for() -> None:
    family = Family()
    family.told(10, 1)
    family.look()
    family.told(10, 1, ended=5)
    assert family.look() == 5


def test_a_root_below_a_root_that_ends_comes_to_light_above() -> None:
    family = Family()
    family.told(10, 1)
    family.told(20, 2, parent=10, root=20)
    family.told(21, 300, parent=20, root=20)
    assert family.look() == 303
    family.told(10, 1, ended=303)  # the worker, its task and one second more
    assert family.look(20, 21) == 1


def test_use_under_a_niced_worker_is_niced_with_what_has_ended() -> None:
    family = Family()
    family.told(10, 1)
    family.told(20, 1, parent=10, root=20)
    family.told(21, 2, parent=20, root=20, nice=10)
    assert family.accounts.add_up(Roll(family.living, [])).niced == 2
    family.told(10, 1)
    family.told(20, 1, ended=3, parent=10, root=20)
    left = [family.living.pop(21)]
    assert family.accounts.add_up(Roll(family.living, left)).niced == 1
