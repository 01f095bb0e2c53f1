"""Orders to tasks in hand: stop with all processes, go on, make room, end; each to whoever has the task.

Owns which tasks are to be stopped, and keeps them so: a stop is a lease, which ends by itself where nobody renews it.
It decides nothing: what is stopped and evicted is the governor's, what is canceled the user's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.stops import SHORT, Stops
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.ledger import MARKS, Ledger
from gristmill.supervisor.legacy import Legacy
from gristmill.supervisor.slot import Slot


class Orders:
    """The way of an order to our own workers, and to what earlier ones left."""

    def __init__(self, ledger: Ledger, stops: Stops, slots: Mapping[int, Slot], legacy: Legacy) -> None:
        self._ledger, self._stops, self._slots, self._legacy = ledger, stops, slots, legacy
        self.end_elsewhere: Callable[[Task], None] = lambda _: None
        """Asks for the end of a task that an engine has."""

    @property
    def paused(self) -> int:
        """How many tasks are stopped, or about to be."""
        return sum(1 for key in self._stops.wanted() if self._ledger.in_hand(key))

    def stopped_s(self, key: Key) -> float:
        """For how many seconds a task in hand has been stopped so far."""
        return self._stops.seconds(key, time.monotonic())

    # ── what is asked for ─────────────────────────────────────────────────────────────────────────────────────

    def stop(self, key: Key, reason: str = SHORT) -> bool:
        """Has a task in hand stopped with all its processes until `resume`; False where that can't be."""
        task = self._ledger.in_hand(key)
        if task is None or task.reason in MARKS:
            return False
        self._stops.want(key, reason)
        if not self._hold(key):
            self._release(key)
            return False
        return True

    def resume(self, key: Key) -> bool:
        """Lets a stopped task go on; False when it was not to be stopped."""
        if key not in self._stops.wanted():
            return False
        self._release(key)
        return True

    def evict(self, key: Key) -> bool:
        """Ends a task in hand to make room in memory; it is queued again, and the attempt does not count.

        A task that is being ended already is ended faster; False when there is no such task in hand.
        """
        task, run, slot = self._ledger.in_hand(key), self._legacy.run_of(key), self._holder(key)
        if task is None or (run is None and slot is None):
            return False
        self._ledger.evicting(key)
        self._stops.release(key)
        if run is not None:
            self._legacy.evict(run)
        elif slot is not None:
            slot.send({"evict": str(key)})
        return True

    def end(self, task: Task) -> None:
        """Asks for the end of a live task, which the ledger has marked."""
        if task.place:
            self.end_elsewhere(task)
            return
        self._stops.release(task.key)
        if self._legacy.end(task):
            return
        slot = self._slots.get(task.worker or 0)
        if slot is not None and task.key in slot.flight:
            slot.call_back()
            slot.send({"end": str(task.key)})

    def renew(self) -> None:
        """Keeps stopped what is to be stopped, once a second; forgets tasks that have ended."""
        for key in self._stops.known():
            if self._ledger.in_hand(key) is None:
                self._stops.forget(key)
        for key in self._stops.wanted():
            if not self._hold(key):
                self._release(key)

    # ── what workers say ──────────────────────────────────────────────────────────────────────────────────────

    def stopped(self, key: Key) -> None:
        """A worker says that its task stands still."""
        self._stops.began(key, time.monotonic())
        self._ledger.paused(key, self._stops.reason(key))

    def resumed(self, key: Key) -> None:
        """A worker says that its task goes on."""
        self._stops.over(key, time.monotonic())
        self._ledger.resumed(key)

    def ended(self, key: Key) -> None:
        """A worker says that its task has ended."""
        self._stops.forget(key)

    # ── who has it ────────────────────────────────────────────────────────────────────────────────────────────

    def _holder(self, key: Key) -> Slot | None:
        """Our worker that has this task in hand."""
        return next((slot for slot in self._slots.values() if slot.head == key), None)

    def _hold(self, key: Key) -> bool:
        """Asks for the stop of a task, or for it to last; tasks sent ahead behind it go to others."""
        if (run := self._legacy.run_of(key)) is not None:
            return self._legacy.stop(run, self._stops.reason(key))
        slot = self._holder(key)
        if slot is None or slot.line is None:
            return False
        slot.held = key
        slot.call_back()
        slot.send({"stop": str(key)})
        return True

    def _release(self, key: Key) -> None:
        self._stops.release(key)
        if (run := self._legacy.run_of(key)) is not None:
            self._legacy.go(run)
        elif (slot := self._holder(key)) is not None and slot.line is not None:
            slot.free()
            slot.send({"go": str(key)})
