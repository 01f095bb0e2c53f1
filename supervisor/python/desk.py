"""Where an executor's calls wait, go out in batches, and have their futures resolved.

Two threads a desk: one sends what has gathered, one hears what became of it. Owns the account of all calls that are
not done; what workers do is told by the daemon alone. A desk knows nothing of its executor, so that one that nobody
holds any more is closed.
"""

from __future__ import annotations

import atexit
import shutil
import threading
import weakref
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.edge import parcels
from gristmill.supervisor.edge.parcels import Parcels
from gristmill.supervisor.python.call import Call, InitializerError, again, fault, settle
from gristmill.supervisor.python.client import Client
from gristmill.supervisor.python.link import Link

BATCH, BATCH_BYTES = 10_000, 64 << 20
"""Calls, and bytes, of one parcel at most; a call that is larger goes alone."""
NUMBERS = 50_000
"""Calls withdrawn in one request."""


@dataclass(slots=True, eq=False)
class Parcel:
    """Calls that went out together, of which `left` are not done."""

    path: Path
    left: int


class Desk:
    """The calls of one open job."""

    def __init__(self, client: Client, job: int, detach: bool, greeting: bytes) -> None:
        """`greeting` is what a process hears before the first call."""
        self.job, self._detach = job, detach
        self._folder = parcels.folder(client.state, job)
        self._parcels = Parcels(self._folder)
        self._parcels.greet(greeting)
        self._changed = threading.Condition()
        self._waiting: list[tuple[Call[Any], bytes]] = []
        self._sent: dict[int, tuple[Call[Any], Parcel]] = {}  # by item, until it is done
        self._total = 0  # items that the daemon has
        self._closing = False
        self._broken: futures.BrokenExecutor | None = None  # why no more calls are taken
        self._link = Link(client.socket, job, self._awaited, client.patience)
        self._sender = threading.Thread(target=self._send_all, name=f"gristmill-{job}-send", daemon=True)
        self._hearer = threading.Thread(target=self._hear_all, name=f"gristmill-{job}-hear", daemon=True)
        self._sender.start()
        self._hearer.start()
        _desks.add(self)

    # ── the program's threads ─────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """Raises RuntimeError where no more calls are taken, BrokenExecutor where they can't be."""
        if self._broken is not None:
            raise again(self._broken)
        if self._closing:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def take(self, call: Call[Any], data: bytes) -> None:
        """One more call."""
        with self._changed:
            self.check()
            self._waiting.append((call, data))
            self._changed.notify_all()

    def cancel(self, call: Call[Any]) -> bool:
        """Cancels a call unless a worker has it."""
        with self._changed:
            if call.item is None:
                return call.drop()
            self._changed.wait_for(lambda: call.done() or self._broken or self._total > (call.item or 0))
        if not (call.done() or call.running()):
            self._withdraw([call.item])
        return call.drop() if call.done() else False

    def close(self, cancel: bool = False) -> None:
        """Takes no more calls; with `cancel` drops those that no worker has yet."""
        with self._changed:
            self._closing = True
            waiting = [call for call, _ in self._waiting] if cancel else []
            sent = [item for item, (call, _) in self._sent.items() if not call.running()] if cancel else []
            self._changed.notify_all()
        for call in waiting:
            call.drop()
        for start in range(0, len(sent), NUMBERS):
            self._withdraw(sent[start : start + NUMBERS])

    def join(self) -> None:
        """Waits until all is done."""
        self._hearer.join()

    def _withdraw(self, items: list[int]) -> None:
        try:
            withdrawn = self._link.ask("withdraw", numbers=items)["withdrawn"]
        except GristError:
            return  # the job is over, and its end says what became of them
        for item in withdrawn:
            if (call := self._done(item)) is not None:
                call.drop()

    # ── the sending thread ────────────────────────────────────────────────────────────────────────────────────

    def _send_all(self) -> None:
        try:
            while batch := self._gather():
                self._send(batch)
            self._link.ask("seal")
        except (GristError, futures.BrokenExecutor) as error:  # refused, or nobody is there to refuse it
            self._break(futures.BrokenExecutor(str(error)))
        except BaseException as error:
            self._break(futures.BrokenExecutor(f"a fault of ours: {error!r}"))
            raise

    def _gather(self) -> list[tuple[Call[Any], bytes]]:
        """What waits, as soon as something does; nothing once no more will come."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closing or self._broken)
                size = count = 0
                for _, data in self._waiting[:BATCH]:
                    size += len(data)
                    if count and size > BATCH_BYTES:
                        break
                    count += 1
                batch, self._waiting = self._waiting[:count], self._waiting[count:]
                wanted = [(call, data) for call, data in batch if not call.cancelled()]
                for item, (call, _) in enumerate(wanted, self._total):
                    call.item = item  # from here on it takes the daemon to cancel it
                if wanted or not batch:
                    return wanted

    def _send(self, batch: list[tuple[Call[Any], bytes]]) -> None:
        first = self._total
        parcel = Parcel(self._folder / f"{first:015d}", len(batch))
        try:
            parcel.path = self._parcels.pack(first, [data for _, data in batch], self._detach)
        except OSError as error:  # a full disk: these can't be called, the next may
            for call, _ in batch:
                call.set_exception(error)
            with self._changed:
                self._changed.notify_all()
            return
        with self._changed:
            self._sent |= {item: (call, parcel) for item, (call, _) in enumerate(batch, first)}
        self._link.ask("append", first=first, count=len(batch))
        with self._changed:
            self._total = first + len(batch)
            self._changed.notify_all()

    # ── the hearing thread ────────────────────────────────────────────────────────────────────────────────────

    def _hear_all(self) -> None:
        try:
            while self._hear(self._link.news()):
                pass
        except (GristError, futures.BrokenExecutor) as error:
            self._break(futures.BrokenExecutor(str(error)))
        except BaseException as error:
            self._break(futures.BrokenExecutor(f"a fault of ours: {error!r}"))  # nobody is to wait for ever; the
            raise  # thread's end shows the rest
        self._sender.join()
        self._link.close()
        if not self._sent:
            shutil.rmtree(self._folder, ignore_errors=True)  # what is left of it, the daemon clears away

    def _hear(self, news: dict[str, Any]) -> bool:
        """Takes in what has become of calls; False when the job is over."""
        for item in news["started"]:
            with self._changed:
                call, _ = self._sent.get(item, (None, None))
            if call is not None and not call.done() and not call.running():
                call.set_running_or_notify_cancel()
        for item, state, reason, log, result in news["ended"]:
            if result is not None and result.get("broken"):
                self._give_up(result)
            if (call := self._done(item)) is not None and not call.done():
                settle(call, state, f"{reason}{f'; its log: {log}' if log else ''}", result)
        if news["over"] is None:
            return True
        self._end(news["over"]["state"], news["over"]["reason"])
        return False

    def _end(self, state: str, reason: str) -> None:
        """The job is over: what was canceled with it never ran; of one that has failed as a whole, this is why."""
        why = futures.BrokenExecutor(f"job {self.job} is over: {reason or state}")
        with self._changed:
            if not self._closing:
                self._broken = self._broken or why
            left = list(self._sent)
            waiting, self._waiting = self._waiting, []
            self._changed.notify_all()
        for call in [*(self._done(item) for item in left), *(call for call, _ in waiting)]:
            if call is not None and not (call.drop() if state == "canceled" else call.done()):
                call.set_exception(again(why))

    def _done(self, item: int) -> Call[Any] | None:
        """Strikes a call out; its parcel goes with the last of it."""
        with self._changed:
            call, parcel = self._sent.pop(item, (None, None))
            if parcel is not None:
                parcel.left -= 1
        if parcel is not None and not parcel.left:
            parcel.path.unlink(missing_ok=True)
        return call

    def _awaited(self) -> list[tuple[int, int]]:
        """The items whose ends have not been heard of, as ranges."""
        with self._changed:
            items = sorted(self._sent)
        ranges: list[tuple[int, int]] = []
        for item in items:
            if ranges and ranges[-1][1] == item:
                ranges[-1] = (ranges[-1][0], item + 1)
            else:
                ranges.append((item, item + 1))
        return ranges

    def _give_up(self, result: dict[str, Any]) -> None:
        """No process can make calls: the initializer failed in one, and none that waits is to find that out again."""
        cause, text = fault(result)
        why = InitializerError(f"the initializer failed in a worker: {text.strip().rpartition(chr(10))[2]}")
        why.__cause__ = cause
        with self._changed:
            sent = [item for item, (call, _) in self._sent.items() if not call.running()]
        self._break(why)
        try:
            for start in range(0, len(sent), NUMBERS):
                self._link.ask("withdraw", numbers=sent[start : start + NUMBERS])
        except GristError:
            pass  # the job is over

    def _break(self, why: futures.BrokenExecutor) -> None:
        """No daemon will tell any more what becomes of the calls."""
        with self._changed:
            self._broken = self._broken or why
            calls = [call for call, _ in self._waiting] + [call for call, _ in self._sent.values()]
            self._waiting.clear()
            self._sent.clear()
            self._changed.notify_all()
        for call in calls:
            if not call.done():
                call.set_exception(again(why))


_desks: weakref.WeakSet[Desk] = weakref.WeakSet()


def _finish() -> None:
    """At the end of the program: what was submitted is waited for, as for all executors."""
    for desk in list(_desks):
        desk.close()
    for desk in list(_desks):
        desk.join()


atexit.register(_finish)
