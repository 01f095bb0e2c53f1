"""A worker whose tasks are calls: it forks a *runner* and hands it one call, or one after another.

All that a worker owes to a task (journal, time, log, the end of all its processes) is `Worker`'s; here is only
how a call begins, and how it is heard of its end. A `row` of calls stands before the runner, and what becomes of them
is read in the journal; it answers where there is more to be said of a call, and is used again unless that answer, or
what was done to it, says that it had better not be. Standard library only, Python ≥ 3.8.

One file, for all of it moves one state, the call in hand: what a runner is told and answers is `hand`'s and `row`'s.
"""

from __future__ import annotations

import collections
import errno
import json
import os
import select
import signal
import socket
import time
from typing import Any

from . import journaling, nest, outcome, row, runner
from .hand import Hand
from .journal import FencedError, encode
from .libc import become_subreaper
from .processes import name_process, offspring, read_stat
from .shop import Shop
from .task import Task
from .worker import NOT_STARTED, Worker

NONE: collections.deque[dict[str, Any]] = collections.deque(maxlen=0)
LOOK_EVERY = 0.004
"""Seconds between two looks at what became of the row while calls are brief."""
CLAIMS_WITHIN = 0.05
"""Seconds at most that are waited for the claim of a call that the runner has taken from the row."""


def introduction(pid: int) -> bytes:
    """The record of who makes calls from now on."""
    return b'{"r":%d,"k":%d}' % (pid, read_stat(pid)[1])


class Caller(Worker):
    """A worker that makes calls."""

    def __init__(self, shop: Shop, sock: socket.socket, run: str, slot: int) -> None:
        super().__init__(sock, run, slot)
        os.close(self.journal.fd)
        self.journal = row.Journal(run + "/journal")
        self.shop = shop
        self.hand: Hand | None = None
        self.base = runner.own_memory()  # shared with all others: no call's own

    def understand(self, line: bytes) -> dict[str, Any]:
        """An order is the runner's to read."""
        if line.startswith(row.ORDER):
            return {"do": row.order_key(line), "line": line}
        message: dict[str, Any] = json.loads(line)
        if "do" not in message:
            return message
        return {"do": message["do"], "line": encode({"do": message.pop("do"), **message})}

    # ── starting ──────────────────────────────────────────────────────────────────────────────────────────────

    def sent(self) -> collections.deque[dict[str, Any]]:
        """The orders in a row that have not ended."""
        return NONE if self.hand is None else self.hand.row.sent

    def busy(self) -> bool:
        return self.task is not None or bool(self.sent())

    def leave(self) -> None:
        """Ends its runner and waits for it: the CPU time of all calls since the last look goes to who waits, and would
        else be taken for other people's."""
        if self.hand is not None:
            self.dismiss(self.hand)

    def start_next(self) -> None:
        while self.waiting and not self.orphaned:
            context = self.context(self.waiting[0]["do"])
            hand = self.hand
            if hand is not None and (hand.once, hand.nice) != (context["once"], context["nice"]):
                if self.busy():
                    break
                self.dismiss(hand)
            if not self.line_up(context):
                break
        self.retire_in_time()

    def line_up(self, context: dict[str, Any]) -> bool:
        """Puts the next order into the row of a runner; False where it has to wait."""
        if self.task is not None and self.is_touched(self.task):
            return False  # whatever comes of it, that runner makes no further call
        message = self.waiting[0]
        try:
            hand = self.hand or self.employ(context)
            line = hand.row
            if hand.context is not context:
                if line.sent:
                    return False
                self.kills.refresh()
                shared = dict(context["env"], **self.own_variables())
                words = {"shared": shared, "call": context["call"], "recycle": context["recycle"] or [None, None]}
                line.tell(words, hand.files(self.open_outputs(context)))
                hand.context = context
                self.bound(context, {})
            if self.leaf is not None and b'"bounds"' in message["line"]:
                self.bound(context, json.loads(message["line"].decode()))
            if not line.sent:
                self.look()  # what is there by now is of none that comes
            if not line.put(message):
                return False
        except OSError as error:
            self.not_spawned(message["do"], error)
        self.waiting.popleft()
        return True

    def employ(self, context: dict[str, Any]) -> Hand:
        """A fresh runner, told of by the journal; raises OSError as `fork` does."""
        outputs = self.open_outputs(context)
        hand = self.fork(context, [self.null, *(output.fd for output in outputs)])
        hand.serials = tuple(output.serial for output in outputs)
        try:
            self.journal.append(introduction(hand.pid))
        except FencedError:
            self.orphaned = True
        except OSError:
            pass  # a full disk: should this worker be killed as well, less is known of its calls, that is all
        self.poll.register(hand.sock.fileno(), select.POLLIN)
        hand.heard = True
        return hand

    def fork(self, context: dict[str, Any], files: list[int]) -> Hand:
        """A fresh runner with these standard files; raises OSError where the machine or its folder refuses one."""
        ours, theirs = socket.socketpair()
        line = row.Row(self.run + "/journal", self.journal.end)
        self.birthright.queue_last(context.get("ionice", False))
        self.birthright.go_first(True)
        parent = os.getpid()
        self.shop.function(context["call"])  # here, so that nothing of it is written to after the fork
        try:
            os.chdir(self.shop.cwd)
            pid = os.fork()
            if pid == 0:
                self.become_runner(theirs, ours, files, context, line, parent)
        except OSError:
            ours.close()
            line.close()
            raise
        finally:
            theirs.close()
            os.chdir("/")
            self.birthright.go_first(False)
        self.hand = Hand(pid, ours, line, context["once"], context["nice"])
        return self.hand

    def become_runner(
        self, sock: socket.socket, other: socket.socket, files: list[int], context: dict[str, Any], line: row.Row,
        parent: int,
    ) -> None:
        """The child's side of a fork, which does not come back; `parent` is the worker's pid."""
        try:
            target = context["call"]
            name_process(target.rpartition(":")[2].rpartition(".")[2])
            made = runner.Runner(sock, self.shop.function, target, self.shop.cwd, self.run + "/result")
            private = [other.detach(), self.sock.detach(), self.lock, self.journal.fd, self.null, self.wake]
            private += [output.fd for output in (self.out, self.err) if output.fd >= 0]
            private += [self.birthright.score] if self.birthright.score >= 0 else []
            become_subreaper()
            journal = row.Journal(self.run + "/journal", self.journal.end)
            record = journaling.Record(journal, line.theirs, self.run, self.base, parent)
            record.files = [os.dup(fd) for fd in files[1:]]
            line.leave()
            runner.be_born((files[0], files[1], files[-1]), private, context["nice"])
            if context["once"]:
                made.serve(record, nest.Nest(self.shop, [sock.fileno(), line.theirs.fileno(), journal.fd]))
            else:
                nest.heed_signals(self.shop.dispositions)
                nest.come_of_age(self.shop)
                made.serve(record)
        except BaseException as error:  # noqa: BLE001 - whatever it is, this process ends here
            outcome.show(error)
            os._exit(1)
        os._exit(0)

    # ── the row ───────────────────────────────────────────────────────────────────────────────────────────────

    def look(self) -> None:
        """Reads in the journal what became of the row, tells the daemon, and learns which call is in hand."""
        hand, sent = self.hand, self.sent()
        if hand is None:
            return
        claimed, told = b"", len(self.outbox)
        for kind, key, body in hand.row.read():
            if kind == b"f":
                self.orphaned = True  # another daemon has taken over: what is claimed from now on is not begun
                break
            if not sent or sent[0]["do"] != key:
                continue  # our own record of one that is closed
            if kind == b"c":
                claimed = body
            elif kind == b"e":
                claimed = b""
                sent.popleft()
                hand.spent += float(body[body.index(b'"cpu":') + 6 : body.index(b',"rss":')])
                self.outbox.append(body + b"\n")
                if self.task is not None:
                    self.let_go(self.task)
        self.journal.end = max(self.journal.end, hand.row.at)
        if claimed:
            self.take_up(sent[0]["do"], hand.pid, float(claimed[claimed.rindex(b":") + 1 : -1]))
        if len(self.outbox) > told:
            self.flush()

    def take_up(self, key: str, pid: int, began: float) -> None:
        """The runner has begun a call, at a moment that is over."""
        context = self.context(key)
        task = Task(key, pid, context, self.open_outputs(context))
        ago = min(max(0.0, task.started - began), CLAIMS_WITHIN + LOOK_EVERY)
        task.started = began
        task.born -= ago
        if task.deadline is not None:
            task.deadline -= ago
        self.task = task

    def shown_pid(self, task: Task) -> int:
        """That of a call is a child of the runner, where each has its own."""
        made = offspring(task.pid) if self.hand is not None and self.hand.once else []
        return made[0][0] if made else task.pid

    def let_go(self, task: Task) -> None:
        """A call has ended by itself, before anybody could do anything about it."""
        self.task = None
        task.count_stop()
        task.thaw()
        for output in task.outputs:
            output.take_back()

    def recall(self) -> None:
        """Takes back what the runner has not begun; `task` is what it has in hand then."""
        hand, sent = self.hand, self.sent()
        if hand is None:
            return
        back, heard = hand.row.take_back()
        self.waiting.extendleft(reversed(back))
        if not heard:
            hand.context, hand.serials = None, ()
        patience = time.monotonic() + CLAIMS_WITHIN
        self.look()
        while len(sent) > (self.task is not None) and time.monotonic() < patience:
            time.sleep(0.0002)  # it has taken one, and is about to claim it
            self.look()

    def obey(self, message: dict[str, Any]) -> None:
        if not {"do", "context", "forget", "quit"} & message.keys():
            self.recall()  # it is about what is in hand, or about what is not to begin
        super().obey(message)

    def end_task(self, why: str) -> None:
        task = self.task
        self.recall()
        if self.task is task:
            super().end_task(why)

    def patience(self) -> int | None:
        """A runner does not say that it goes from a brief call to the next one."""
        found = super().patience()
        if not self.sent():
            return found
        brief = self.task is None or time.monotonic() < self.task.born + 2 * journaling.BRIEF
        soon = int(1000 * (LOOK_EVERY if brief else journaling.BRIEF))
        return soon if found is None else min(found, soon)

    # ── ending ────────────────────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def is_touched(task: Task) -> bool:
        """Whether something was done to a call from outside."""
        return task.why is not None or task.stopped_at is not None or bool(task.frozen)

    def hear_task(self, fd: int) -> None:
        """A runner says that it has ended calls, answers one, or is gone."""
        hand = self.hand
        if hand is None:
            return
        answers = hand.read()
        if not hand.heard:
            self.poll.unregister(hand.sock.fileno())
        self.look()
        for answer in answers:
            self.hear_answer(hand, answer)

    def hear_answer(self, hand: Hand, answer: dict[str, Any]) -> None:
        """More is to be said of a call than that it returned, or it can't begin; its runner waits."""
        sent, task = self.sent(), self.task
        if "no" in answer and sent and sent[0]["do"] == answer["no"]:
            sent.popleft()
            refusal = {"n": answer["no"], "errno": answer["errno"], "text": answer["text"]}
            if task is not None:  # it is claimed already: the journal has to say that it did not begin
                self.let_go(task)
                self.record(refusal)
            else:
                self.say(refusal)
            self.flush()
            if answer["errno"] not in NOT_STARTED:  # a call has closed what is not its own
                self.recall()
                self.dismiss(hand)
                return
        elif task is not None and task.key == answer.get("do"):
            self.take_over(task, answer)
            hand.spent += answer["cpu"]
            if answer["left"] or answer["last"] or self.is_touched(task):
                self.recall()
                task.pid = -1
                self.dismiss(hand)
                self.reap(task)  # what the call left running
                return
            self.finish(task)
        try:
            row.send(hand.sock, b"\n", hand.files(self.open_outputs(hand.context or {})))
        except OSError:  # no file for its output, or somebody has killed it: another makes the next call
            self.recall()
            self.dismiss(hand)

    def take_over(self, task: Task, answer: dict[str, Any]) -> None:
        """Takes into the record of a call what its runner says."""
        task.said = {name: answer[name] for name in ("value", "raised") if name in answer}
        if "cpu" in answer:
            task.cpu, task.rss = answer["cpu"], max(0, answer["rss"] - self.base)
            code = answer["code"]
            task.status = -code if code < 0 else code << 8

    def close_task(self, task: Task) -> None:
        """All processes of the call have ended."""
        hand = self.hand
        if hand is None or hand.pid != task.pid:
            self.finish(task)
        else:
            self.mourn(hand, task, task.status or 0, task.cpu, task.rss)

    def finish(self, task: Task) -> None:
        """Writes down how the call in hand ended."""
        sent = self.sent()
        if sent and sent[0]["do"] == task.key:
            sent.popleft()
        super().close_task(task)

    def record(self, record: dict[str, Any]) -> None:
        """At once: others write into the same journal."""
        super().record(record)
        self.write_staged()

    def mourn(self, hand: Hand, before: Task | None, status: int, cpu: float, rss: int) -> None:
        """A runner is dead. To blame is the call that the journal says it had in hand, which may be
        a later one than `before`, that we knew of."""
        answers = hand.read()
        self.look()
        task = self.task
        if task is not None and answers and answers[-1].get("do") == task.key:
            self.take_over(task, answers[-1])
            self.finish(task)
        elif task is not None and task is not before and before is not None and before.why is not None:
            self.task = None
            self.sent().popleft()
            error = OSError(errno.EAGAIN, "ended by what was meant for the call before it")
            self.not_spawned(task.key, error)
        elif task is not None:
            task.status, task.cpu, task.rss = status, max(0.0, cpu - hand.spent), max(0, rss - self.base)
            self.finish(task)
        self.forget(hand)

    def look_after(self) -> None:
        hand, sent = self.hand, self.sent()
        if sent:
            self.look()
            if self.orphaned and len(sent) > (self.task is not None):
                self.recall()  # what is not begun by now is the next daemon's
        if hand is not None and self.task is None:
            pid, status, usage = os.wait4(hand.pid, os.WNOHANG)
            if pid:
                self.mourn(hand, None, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
        super().look_after()

    def dismiss(self, hand: Hand) -> None:
        """Ends a runner that has no call in hand."""
        os.kill(hand.pid, signal.SIGKILL)
        os.waitpid(hand.pid, 0)
        self.forget(hand)

    def forget(self, hand: Hand) -> None:
        """The runner has ended; what it has not begun waits for the next one."""
        if hand.heard:
            self.poll.unregister(hand.sock.fileno())
        hand.sock.close()
        back, _ = hand.row.take_back()
        taken = [message for message in hand.row.sent if self.task is None or message["do"] != self.task.key]
        self.waiting.extendleft(reversed(taken + back))
        hand.row.close()
        self.hand = None
