"""Whose CPU time it is: what each tree used between two looks, with all that has ended in it, nothing twice.

The kernel moves the time of a process into its parent's `ended` when the parent has waited for it. So a tree used what
came to its processes' own times, and what came to `ended` beyond the times of those that have gone and that were
counted while they lived. A process can be gone before its time is seen in the parent (it was read just before), or
for good (a parent that ignores SIGCHLD): what is missing is expected at the next look, and then given up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from gristmill.supervisor.edge.sampler.census import Process, Roll

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Use:
    """CPU seconds since the look before: of each root's whole tree, of all together, and the niced user time in it."""

    trees: Mapping[int, float]
    total: float
    niced: float


@dataclass(slots=True)
class Account:
    """What a root has to itself, without the roots below it; in ticks."""

    own: int = 0
    ended: int = 0
    ended_user: int = 0
    lost: int = 0
    lost_user: int = 0


class Accounts:
    """Keeps what one look has to know of the one before."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}  # root: the next one above it
        self._missing: dict[int, int] = {}  # root: ticks of processes that have gone, seen in no parent yet
        self._nice: dict[int, bool] = {}  # root: whether what runs under it is niced
        self.spent: dict[int, float] = {}
        """CPU seconds of each root's tree since it was first seen."""

    def add_up(self, roll: Roll) -> Use:
        """What was used since the look before."""
        accounts: dict[int, Account] = {}
        niced = 0
        for process in roll.living.values():  # parents first
            root = process.root
            account = accounts.get(root)
            if account is None:
                account = accounts[root] = Account()
            account.own += process.plus_own
            if process.plus_ended:
                account.ended += process.plus_ended
                account.ended_user += process.plus_ended_user
            if process.nice > 0:
                niced += process.plus_user
            if process.pid != root:
                self._nice[root] = process.nice > 0
        for process in roll.gone:
            if (account := accounts.get(self._heir(process, roll))) is not None:
                account.lost += process.own + process.ended
                account.lost_user += process.user + process.ended_user

        used: dict[int, float] = {}
        missing: dict[int, int] = {}
        for root, account in accounts.items():
            of_ended = account.ended - account.lost - self._missing.get(root, 0)
            if of_ended < 0:
                missing[root], of_ended = min(-of_ended, account.lost), 0
            if self._nice.get(root, True):
                niced += min(of_ended, max(0, account.ended_user - account.lost_user))
            used[root] = (account.own + of_ended) / TICKS
        total = sum(used.values())
        self._missing = missing
        parents = ((root, roll.living.get(roll.living[root].parent)) for root in used)
        self._above = {root: parent.root for root, parent in parents if parent is not None}
        for root in reversed(list(used)):  # those below first
            if root in self._above:
                used[self._above[root]] += used[root]
        self._nice = {root: nice for root, nice in self._nice.items() if root in used}
        self.spent = {root: self.spent.get(root, 0.0) + seconds for root, seconds in used.items()}
        return Use(used, total, niced / TICKS)

    def _heir(self, process: Process, roll: Roll) -> int:
        """The root under which the time of a process that has gone comes to light."""
        root = process.root
        while (there := roll.living.get(root)) is None or there.root != root:
            above = self._above.get(root)
            if above is None or above == root:
                break
            root = above
        return root
