"""A worker: one slot of the pool, which runs one task after another and owes each the same, whatever it is.

Owns the loop, the talk with the daemon, the order in the journal, time limits, the end of all of a task's processes.
How a task begins is `launcher.Launcher`'s for commands and `caller.Caller`'s for calls.
"""

from __future__ import annotations

import collections
import errno
import fcntl
import json
import os
import select
import signal
import time

from .birth import Birthright
from .copies import copy_log
from .journal import VERSION, VERSION_EVICTED, FencedError, Journal, claim, encode, exit_record
from .kills import Kills
from .manners import yield_session
from .output import Output, rename
from .processes import offspring, read_stat, send_signal
from .signals import ORDERS, SIGNAL_BYTES
from .task import Task

TYPE_CHECKING = False  # as type checkers know it, without the cost of `typing` in each worker
if TYPE_CHECKING:
    import socket
    from typing import Any

    from .leaf import Leaf

JOURNAL_LIMIT = 1 << 21  # past this a worker asks to be replaced; a short journal keeps recovery fast
NAME_LOG_AFTER = 0.5  # seconds; the log of a task that lives longer gets its final name while it runs
KILL_EVERY = 0.1  # seconds between two sweeps over what still lives of a task
WRITE_AGAIN = 1.0  # seconds until a record is tried again that the disk had no room for
STOP_LEASE = 10.0  # seconds for which a task stays stopped unless the daemon asks for it again
READ_MOST = 1 << 16  # bytes taken from the daemon at a time: room for more would be mapped anew for each message
EVICT_GRACE = 1.0  # seconds at most between TERM and KILL where memory is short: the time to say good-bye, no more
EXIT_FIRST = 0.02  # seconds after which a start is worth telling; before, the exit alone says it all
YIELD_AGAIN = (0.1, 6.4)  # seconds before a session's niceness is asked for again: at first, doubled up to the last
NOT_STARTED = {errno.EAGAIN, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ENOSPC, errno.EDQUOT}
"""Errors that say "not now" of the machine rather than "never" of the task."""

_decoder = json.JSONDecoder()


class Worker:
    """One slot of the pool: runs one task after another until the daemon closes its socket or it is fenced."""

    def __init__(self, sock: socket.socket, run: str, slot: int) -> None:
        self.sock, self.run, self.slot = sock, run, slot
        self.lock = os.open(run + "/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.journal = Journal(run + "/journal")
        self.contexts: dict[int, dict[str, Any]] = {}
        self.waiting: collections.deque[dict[str, Any]] = collections.deque()
        self.task: Task | None = None
        self.inbox = b""
        self.outbox: list[bytes] = []
        self.staged: tuple[bytes, ...] = ()  # an exit that goes into the journal with the next claim, in one write
        self.unwritten: collections.deque[bytes] = collections.deque()  # exits that the disk has no room for
        self.write_at = 0.0
        self.kills = Kills()
        self.birthright = Birthright()
        self.leaf: Leaf | None = None  # of this worker alone
        self.yielded = 0  # the process whose session goes last by now: one that makes many calls is asked for once
        self.out, self.err = Output(run, "log"), Output(run, "err")
        self.null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self.poll = select.poll()
        self.wake = -1  # where signals wait for it
        self.flushed = 0.0
        self.orphaned = False  # the daemon is gone
        self.retiring = False  # finish, then leave

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────────────────

    def serve(self, wake: int) -> None:
        """Runs until there is nothing left to do. `wake` is where signals wait (see `listen_to_signals`)."""
        self.wake = wake
        poll, daemon = self.poll, self.sock.fileno()
        poll.register(daemon, select.POLLIN)
        poll.register(wake, select.POLLIN)
        try:
            self.journal.append(b'{"v":%d,"stops":true}' % VERSION)
        except FencedError:
            self.orphaned = True  # given up on before it came to be
        except OSError:
            pass  # no room: the first claim meets the same, and says so
        self.outbox.append(b'{"ready":%d}\n' % os.getpid())
        while True:
            self.start_next()
            if not self.busy():
                self.flush()
                os.chdir("/")  # of a folder that is left like this a file system can be unmounted
                if (self.orphaned or self.retiring) and not self.unwritten:
                    self.leave()
                    return
            if self.staged:
                self.write_staged()  # nothing was claimed after it
            for fd, _ in poll.poll(self.patience()):
                if fd == wake:
                    self.hear_signals()
                elif fd == daemon:
                    self.read_socket()
                    if self.orphaned:
                        poll.unregister(daemon)
                else:
                    self.hear_task(fd)
            self.look_after()

    def busy(self) -> bool:
        """Whether there is something to be ended before it may leave."""
        return self.task is not None

    def leave(self) -> None:
        """There is nothing left to do: what a kind of worker keeps for the next task goes."""

    def patience(self) -> int | None:
        """Milliseconds until something is due, None for as long as nothing happens."""
        task = self.task
        due = [self.write_at] if self.unwritten else []
        if task is None and not due:
            return None
        now = time.monotonic()
        if task is not None:
            until = task.deadline if task.stopped_at is None else task.lease
            moments = (until, task.kill_at, task.sweep_at, task.outputs[0].look)
            due += [moment for moment in moments if moment is not None]
            due += self.courtesies(task)
        return max(0, int((min(due) - now) * 1000) + 1) if due else None

    @staticmethod
    def courtesies(task: Task) -> list[float]:
        """When a task in hand is told of, when its session is to go last, and when its log gets its name."""
        due = []
        if not task.announced:
            due.append(task.born + EXIT_FIRST)
        if task.yield_at is not None:
            due.append(task.yield_at)
        if not task.outputs[0].named:
            due.append(task.born + NAME_LOG_AFTER)
        return due

    def look_after(self) -> None:
        """Reaps, and does what the time asks for."""
        if self.unwritten and time.monotonic() >= self.write_at:
            self.write_again()
        if self.task is not None:
            self.reap(self.task)
        task = self.task
        if task is None:
            return
        now = time.monotonic()
        if not task.announced and now >= task.born + EXIT_FIRST:
            self.announce(task)
        if task.yield_at is not None and now >= task.yield_at:
            self.yield_to_others(task)
        for output in task.outputs:
            if not output.named and now >= task.born + NAME_LOG_AFTER:
                output.name()
            if output.look is not None and now >= output.look:
                output.bound(now)
        if task.stopped_at is not None and now >= task.lease:
            self.go_on(task)  # who wanted it stopped says so no more
        if task.sweep_at is not None and now >= task.sweep_at:
            task.sweep()
        if task.deadline is not None and task.stopped_at is None and now >= task.deadline:
            self.end_task("timeout")
        if task.kill_at is not None and now >= task.kill_at:
            self.kill_tree()
            task.kill_at = now + KILL_EVERY

    def hear_task(self, fd: int) -> None:
        """What a task says itself: a command writes to its terminal, a call speaks."""
        raise NotImplementedError

    # ── talking to the daemon ─────────────────────────────────────────────────────────────────────────────────

    def say(self, message: dict[str, Any]) -> None:
        self.outbox.append(encode(message) + b"\n")

    def flush(self) -> None:
        self.write_staged()
        if self.outbox and not self.orphaned:
            try:
                self.sock.sendall(b"".join(self.outbox))
            except OSError:
                self.orphaned = True  # its records are in the journal; poll drops the socket at EOF
        self.outbox.clear()
        self.flushed = time.monotonic()

    def read_socket(self) -> None:
        try:
            data = self.sock.recv(READ_MOST)
        except OSError:
            data = b""
        if not data:
            self.orphaned = True  # what is not claimed by now is the next daemon's
            if self.task is not None:
                self.go_on(self.task)
            return
        *lines, self.inbox = (self.inbox + data).split(b"\n")
        for line in lines:
            self.obey(self.understand(line))

    def understand(self, line: bytes) -> dict[str, Any]:
        message: dict[str, Any] = _decoder.raw_decode(line.decode())[0]
        return message

    def obey(self, message: dict[str, Any]) -> None:
        if "do" in message:
            self.waiting.append(message)
        elif "context" in message:
            self.contexts[message["job"]] = message["context"]
            message["context"]["job"] = message["job"]
        elif "forget" in message:  # jobs that are over
            for number in message["forget"]:
                self.contexts.pop(number, None)
        elif "drop" in message:
            self.give_back(list(self.waiting))
        elif "end" in message and (found := [one for one in self.waiting if one["do"] == message["end"]]):
            self.give_back(found)  # came with the task itself: it is canceled before it has begun
        elif "quit" in message:
            self.retiring = True
        else:
            for word, order in (("end", "cancel"), ("stop", "stop"), ("go", "go"), ("evict", "evict")):
                if word in message and self.task is not None and self.task.key == message[word]:
                    self.handle(self.task, order)

    def give_back(self, messages: list[dict[str, Any]]) -> None:
        """Returns tasks that were not begun."""
        self.say({"dropped": [message["do"] for message in messages]})
        for message in messages:
            self.waiting.remove(message)
        self.flush()

    def hear_signals(self) -> None:
        """A later daemon's orders. One that speaks to us over the socket gives but the oldest of them like this."""
        for number in os.read(self.wake, 32 * SIGNAL_BYTES)[::SIGNAL_BYTES]:
            order = ORDERS.get(number)
            if order is not None and self.task is not None and (self.orphaned or order == "cancel"):
                self.handle(self.task, order)

    def handle(self, task: Task, order: str) -> None:
        """What is to be done with the task in hand."""
        if order == "stop":
            self.stop(task)
        elif order == "go":
            self.go_on(task)
        elif order == "cancel":
            self.end_task("cancel")
        else:
            self.evict(task)

    # ── starting ──────────────────────────────────────────────────────────────────────────────────────────────

    def start_next(self) -> None:
        """Claims and starts the next waiting task, if none is in hand."""
        while self.task is None and self.waiting and not self.orphaned:
            self.start(self.waiting.popleft())
        self.retire_in_time()

    def start(self, message: dict[str, Any]) -> None:
        key = message["do"]
        try:
            self.journal.reserve()
            outputs = self.open_outputs(self.context(key), key)
            staged, self.staged = self.staged, ()
            try:
                self.journal.append(*staged, claim(key, time.time()))
            except OSError:
                self.keep_unwritten(*staged)
                raise
        except FencedError:
            self.orphaned = True
            self.waiting.clear()
            return
        except OSError as error:
            self.say({"n": key, "errno": error.errno, "text": str(error)})
            return
        try:
            self.spawn(key, message, outputs)
        except (OSError, ValueError) as error:
            self.not_spawned(key, error)

    def open_outputs(self, context: dict[str, Any], key: str = "") -> list[Output]:
        """The files for what the next task writes, which is called `key` where that is known."""
        outputs = [self.out, self.err] if context.get("err") else [self.out]
        for output in outputs:
            output.open(context["logs"], key.split(".", 1)[1]) if key else output.open()
        return outputs

    def retire_in_time(self) -> None:
        """Asks to be replaced when the journal has become long."""
        if self.journal.end > JOURNAL_LIMIT and not self.retiring and not self.orphaned:
            self.retiring = True
            self.say({"retiring": True, "dropped": [waiting["do"] for waiting in self.waiting]})
            self.waiting.clear()

    def context(self, key: str) -> dict[str, Any]:
        """What all tasks of a task's job share."""
        return self.contexts[int(key.split(".", 1)[0])]

    def spawn(self, key: str, message: dict[str, Any], outputs: list[Output]) -> None:
        """Starts a task that is claimed, and makes it the one in hand; raises OSError or ValueError."""
        raise NotImplementedError

    def bound(self, context: dict[str, Any], message: dict[str, Any]) -> None:
        """Holds what is started next to what it claims, where there is a group for that."""
        if self.leaf is not None and "bounds" in context:
            self.leaf.bound({**context["bounds"], **message.get("bounds", {})})

    def own_variables(self) -> dict[str, str]:
        """What all tasks of this worker have in their environment."""
        return {
            "GRIST_WORKER": str(self.slot),
            "GRIST_RESULT": self.run + "/result",
            "GRIST_PROGRESS": self.run + "/progress",
        }

    def not_spawned(self, key: str, error: Exception) -> None:
        """A start that failed: the machine's "not now" goes back, the task's own fault is its exit."""
        if isinstance(error, OSError) and error.errno in NOT_STARTED:
            record: dict[str, Any] = {"n": key, "errno": error.errno, "text": str(error)}
        else:
            code = 127 if isinstance(error, FileNotFoundError) else 126
            now = time.time()
            record = {"e": key, "code": code, "signal": None, "why": None, "t0": now, "t": now, "cpu": 0.0, "rss": 0}
            record["text"] = f"cannot start: {error}"
        self.record(record)

    def announce(self, task: Task) -> None:
        task.announced = True
        if task.nice and task.pid != self.yielded:
            task.yield_at = task.born  # a shorter task is over before it could be in anybody's way
        record, shown = {"s": task.key, "pid": task.pid, "t": task.started}, self.shown_pid(task)
        if shown != task.pid:
            record["shown"] = shown
        try:
            record["k"] = read_stat(task.pid)[1]
        except OSError:
            pass  # it has just ended, or no descriptor is left: less is known about the task, that is all
        try:
            self.journal.append(encode(record))
        except FencedError:
            self.orphaned = True
        except OSError:
            pass  # a full disk: the claim says enough
        self.say({**record, "pid": shown})
        self.flush()

    def shown_pid(self, task: Task) -> int:
        """The process that a task is for those who look."""
        return task.pid

    def yield_to_others(self, task: Task) -> None:
        """Has the task's session go last, or asks for it again later."""
        if yield_session(task.pid, task.nice):
            task.yield_at, self.yielded = None, task.pid
        else:
            first, last = YIELD_AGAIN
            task.yield_at = time.monotonic() + min(first * 2**task.yields, last)
            task.yields += 1

    # ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────

    def stop(self, task: Task) -> None:
        """Stops the whole tree, or keeps it stopped, until the lease is over; its timeout stands still."""
        if task.why is not None or task.kill_at is not None:
            return  # it is ending: that frees more
        now = time.monotonic()
        task.lease = now + STOP_LEASE
        if task.stopped_at is not None:
            return
        if not task.announced:
            self.announce(task)  # whoever hears that it is stopped has heard of it
        task.stopped_at = now
        task.sweeps = 0
        task.freeze()
        self.say({"paused": task.key})
        self.flush()

    def go_on(self, task: Task) -> None:
        """Lets a stopped tree go on, and its timeout with it."""
        if task.stopped_at is None:
            return
        task.count_stop()
        task.thaw()
        try:
            self.journal.append(encode({"p": task.key, "stopped": round(task.stopped, 3)}))
        except FencedError:
            self.orphaned = True
        except OSError:
            pass  # a full disk: should this worker be killed as well, a timeout counts some time too much
        self.say({"resumed": task.key})
        self.flush()

    # ── ending ────────────────────────────────────────────────────────────────────────────────────────────────

    def reap(self, task: Task) -> None:
        """Collects what has ended; when nothing of the task is left, its exit is recorded."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                if task.status is not None and task.kill_at is None and not task.wait:
                    self.kill_tree()  # what a task leaves running ends with it
                    task.kill_at = time.monotonic() + KILL_EVERY
                return
            task.cpu += usage.ru_utime + usage.ru_stime
            task.rss = max(task.rss, usage.ru_maxrss * 1024)
            if pid == task.pid:
                task.status = status
        self.close_task(task)

    def evict(self, task: Task) -> None:
        """Ends the task to make room in memory, to be run again.

        Of a stopped task that has no handler for TERM not one instruction runs any more; one that has gets a moment
        to put its files in order, in which it hardly takes more memory than it frees.
        """
        self.reap(task)
        if self.task is not task or (task.status is not None and not task.wait):
            return  # it has ended by itself just now: that is what counts
        if task.why is None:
            self.end_task("evict")
        elif task.kill_at is not None:
            task.kill_at = min(task.kill_at, time.monotonic() + EVICT_GRACE)  # its end was asked for: only faster now

    def end_task(self, why: str) -> None:
        """Asks the whole tree to end: TERM now, KILL after the grace."""
        task = self.task
        if task is None or task.why is not None:
            return
        task.why = why
        task.count_stop()
        task.deadline = task.sweep_at = None
        task.frozen = frozenset()
        task.kill_at = time.monotonic() + (min(task.grace, EVICT_GRACE) if why == "evict" else task.grace)
        self.signal_tree(signal.SIGTERM, signal.SIGCONT)  # a stopped process could not hear the TERM

    def kill_tree(self) -> None:
        """Ends what lives of the task."""
        if self.leaf is not None:
            self.leaf.kill()
        self.signal_tree(signal.SIGKILL)

    def signal_tree(self, *numbers: int) -> None:
        try:
            for pid, start, _ in offspring(os.getpid()):
                for number in numbers:
                    send_signal(pid, start, number)
        except OSError:
            pass  # no descriptor left to look with: the next sweep finds what lives

    def close_task(self, task: Task) -> None:
        self.task = None
        code = signum = None
        assert task.status is not None  # all children were waited for, the task's own process among them
        if os.WIFSIGNALED(task.status):
            signum = os.WTERMSIG(task.status)
        else:
            code = os.WEXITSTATUS(task.status)
        task.count_stop()  # killed by somebody else
        now = time.time()
        began = now - (time.monotonic() - task.born)  # counted back: a clock that was set does not change its length
        record: dict[str, Any] = {
            "e": task.key, "code": code, "signal": signum, "why": task.why, "t0": began, "t": now,
            "cpu": round(task.cpu, 6), "rss": task.rss,
        }
        record.update(task.said or {})
        kept = [output.keep() for output in task.outputs]
        log = kept[0]
        cut = sum(output.cut for output in task.outputs)
        own = self.leaf is not None  # who died for lack of memory in it was of this task
        bad = task.why is None and bool(code or signum)
        short = (own or bad) and self.kills.more() and bad
        if short and (own or signum == signal.SIGKILL or code == 128 + signal.SIGKILL):  # a shell tells of its child so
            record["oom"] = True
        notes = self.notes(task, short and "oom" not in record, cut)
        if self.leaf is not None and "oom" in record and self.leaf.said["memory.max"] != "max":
            notes.append("held to what it claims")
        for path, copy, output in zip(kept, task.copies, task.outputs):  # noqa: B905 - Python 3.8
            try:
                if copy and task.why != "evict":
                    copy_log(path, copy, output.target, task.copies_append)
            except OSError as error:
                notes.append(f"its log was not copied to {copy}: {error.strerror}")
        if notes:
            record["text"] = "; ".join(notes)
        if log:
            record["log"] = log
        if task.stopped:
            record["stopped"] = round(task.stopped, 3)
        if task.why == "evict":
            record["v"] = VERSION_EVICTED
            record.pop("value", None)
        if os.access(self.run + "/result", os.F_OK):
            self.keep_result(task, record)
        self.forget_progress()
        self.record(record)

    @staticmethod
    def notes(task: Task, short: bool, cut: int) -> list[str]:
        """What else is to be said of a task that has ended; of its log `cut` bytes are gone."""
        notes = []
        if short:
            notes.append("the kernel killed a process for lack of memory meanwhile")
        if task.stopped >= 1:
            notes.append(f"it was stopped for {task.stopped:.0f} s meanwhile")
        if cut:
            notes.append(f"{cut / 1e6:.1f} MB of its log were left out (limits.log)")
        return notes

    def forget_progress(self) -> None:
        """Removes what the task said of its progress, before anybody takes it for the next one's."""
        told = self.run + "/progress"
        if os.access(told, os.F_OK, follow_symlinks=False):  # most tasks say nothing
            try:
                os.unlink(told)
            except OSError:
                pass  # it made a folder of it: nothing is read of that

    def keep_result(self, task: Task, record: dict[str, Any]) -> None:
        """Moves a result to where the daemon reads it; that of an evicted task, which is run again, goes."""
        if task.why == "evict" or "value" in record:  # what a call returned comes before what it wrote
            os.unlink(self.run + "/result")
            return
        try:
            rename(self.run + "/result", task.result_path)
            record["result"] = task.result_path
        except OSError:
            os.rename(self.run + "/result", f"{self.run}/result.{task.key}")  # the daemon finds it here
            record["result"] = f"{self.run}/result.{task.key}"

    def record(self, record: dict[str, Any]) -> None:
        """Journal first, then the socket; many short tasks share one message."""
        body = exit_record(record)
        self.write_staged()
        self.staged = (body,)
        self.outbox.append(body + b"\n")
        if not self.waiting or time.monotonic() - self.flushed > EXIT_FIRST:
            self.flush()

    def write_staged(self) -> None:
        """Writes down an exit that was to wait for the next claim."""
        if self.staged:
            staged, self.staged = self.staged, ()
            try:
                self.journal.append(*staged)
            except FencedError:
                self.orphaned = True
            except OSError:
                self.keep_unwritten(*staged)

    def keep_unwritten(self, *bodies: bytes) -> None:
        """The disk has no room, and none could be set aside (NFS): this worker stays until they are written down."""
        self.unwritten.extend(bodies)
        self.write_at = time.monotonic() + WRITE_AGAIN

    def write_again(self) -> None:
        """Writes down what the disk had no room for."""
        try:
            while self.unwritten:
                self.journal.append(self.unwritten[0])
                self.unwritten.popleft()
        except FencedError:
            self.orphaned = True
            self.unwritten.popleft()
        except OSError:
            self.write_at = time.monotonic() + WRITE_AGAIN
