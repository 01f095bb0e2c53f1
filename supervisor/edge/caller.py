"""A worker whose tasks are calls: it forks a *runner* and hands it one call, or one after another.

All that a worker owes to a task (journal, time, log, the end of all its processes) is `worker.Worker`'s; here is only
how a call begins, and how it is heard of its end. With `once` the runner's own exit is the task's, as a command's is;
otherwise the runner answers, and is used again unless that answer, or what was done to it, says that it had better not
be. Standard library only, Python ≥ 3.8.
"""

from __future__ import annotations

import array
import errno
import gc
import json
import os
import select
import signal
import socket
from collections.abc import Callable
from typing import Any

if __package__:
    from gristmill.supervisor.edge import runner, worker
else:  # in a user's interpreter, by path
    import runner  # type: ignore[import-not-found, no-redef]
    import worker  # type: ignore[import-not-found, no-redef]

GIVEN = ("env", "args", "kwargs", "stdin")
"""What of a daemon's message goes on to the runner."""


class Shop:
    """What all workers of a spawner of calls have: the function, its folder, and what its module changed at import."""

    def __init__(self, function: Callable[..., Any], cwd: str, dispositions: dict[int, Any]) -> None:
        self.function, self.cwd, self.dispositions = function, cwd, dispositions
        self.name = function.__name__ if hasattr(function, "__name__") else "call"
        self.collector = (gc.isenabled(), gc.get_threshold())


class Hand:
    """The worker's end of one runner."""

    def __init__(self, pid: int, sock: socket.socket, once: bool, nice: int, serials: tuple[int, ...]) -> None:
        self.pid, self.sock, self.once, self.nice = pid, sock, once, nice
        self.serials = serials  # of the files that its output goes to
        self.context: dict[str, Any] | None = None  # what it was last told that its calls share
        self.heard = False  # its socket is polled
        self.spent = 0.0  # CPU seconds of the calls that it has answered
        self.unread = False  # it ended before it had read its order
        self.inbox = b""

    def send(self, order: dict[str, Any], outputs: list[worker.Output]) -> None:
        """Gives it an order, and with it files for its output where these are others than before."""
        line = worker.encode(order) + b"\n"
        serials = tuple(output.serial for output in outputs)
        if serials != self.serials:
            fds = array.array("i", (outputs[0].fd, outputs[-1].fd))
            line = line[self.sock.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]) :]
            self.serials = serials
        self.sock.sendall(line)

    def read(self) -> dict[str, Any] | None:
        """Its answer, None where there is none yet, or will be none: its exit says so."""
        try:
            data = self.sock.recv(1 << 16, socket.MSG_DONTWAIT)
        except ConnectionResetError:
            self.unread = True
            return None
        except OSError:
            return None
        self.inbox += data
        line, end, rest = self.inbox.partition(b"\n")
        if not end:
            return None
        self.inbox = rest
        answer: dict[str, Any] = json.loads(line)
        return answer


class Caller(worker.Worker):
    """A worker that makes calls."""

    def __init__(self, shop: Shop, sock: socket.socket, run: str, slot: int) -> None:
        super().__init__(sock, run, slot)
        self.shop = shop
        self.hand: Hand | None = None
        self.message: dict[str, Any] = {}  # the one that began the call in hand
        self.base = runner.own_memory()  # shared with all others: no call's own

    # ── starting ──────────────────────────────────────────────────────────────────────────────────────────────

    def spawn(self, key: str, message: dict[str, Any], outputs: list[worker.Output]) -> None:
        context = self.context(key)
        self.count_kills()
        hand = self.hand
        if hand is not None and (context["once"] or hand.nice != context["nice"]):
            self.dismiss(hand)
            hand = None
        if hand is not None:
            try:
                self.give(hand, message, context, outputs)
            except OSError:  # killed while it had nothing to do: that is nobody's failure
                self.dismiss(hand)
                hand = None
        if hand is None:
            hand = self.fork(context, outputs)
            self.give(hand, message, context, outputs)
        self.message = message
        self.task = worker.Task(key, hand.pid, context, outputs)

    def give(
        self, hand: Hand, message: dict[str, Any], context: dict[str, Any], outputs: list[worker.Output]
    ) -> None:
        """Gives a runner its next call; what all calls of a job share, it is told once."""
        order: dict[str, Any] = {name: message[name] for name in GIVEN if name in message}
        if hand.context is not context:
            order["shared"] = dict(context["env"], **self.own_variables())
            order["recycle"] = context["recycle"]
        hand.send(order, outputs)
        hand.context = context

    def fork(self, context: dict[str, Any], outputs: list[worker.Output]) -> Hand:
        """A fresh runner; raises OSError where the machine or its folder refuses one."""
        once, nice = context["once"], context["nice"]
        ours, theirs = socket.socketpair()
        self.birthright.queue_last(context.get("ionice", False))
        self.birthright.go_first(True)
        try:
            os.chdir(self.shop.cwd)
            pid = os.fork()
            if pid == 0:
                self.become_runner(theirs, ours, outputs, once, nice)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            os.chdir("/")
            self.birthright.go_first(False)
        self.hand = Hand(pid, ours, once, nice, tuple(output.serial for output in outputs))
        self.write_down(pid)
        if not once:
            self.poll.register(ours.fileno(), select.POLLIN)
            self.hand.heard = True
        return self.hand

    def become_runner(
        self, sock: socket.socket, other: socket.socket, outputs: list[worker.Output], once: bool, nice: int
    ) -> None:
        """The child's side of a fork, which does not come back."""
        status = 1
        try:
            worker.name_process(self.shop.name)
            if not once:
                worker.become_subreaper()
            private = [other.detach(), self.sock.detach(), self.lock, self.journal.fd, self.null, *self.wakes]
            private += [output.fd for output in (self.out, self.err) if output.fd >= 0]
            private += [self.birthright.score] if self.birthright.score >= 0 else []
            runner.be_born((self.null, outputs[0].fd, outputs[-1].fd), private, self.shop.dispositions, nice)
            runner.run(runner.Runner(sock, self.shop.function, self.shop.cwd), once, self.shop.collector)
        except BaseException as error:  # noqa: BLE001 - whatever it is, this process ends here
            runner.show(error)
        finally:
            os._exit(status)

    def write_down(self, pid: int) -> None:
        """Has the journal say who makes the calls from now on, before he gets the first."""
        try:
            self.journal.append(worker.encode({"r": pid, "k": worker.read_stat(pid)[1]}))
        except worker.FencedError:
            self.orphaned = True  # the claim came before the fence: this one call is ours to end
        except OSError:
            pass  # a full disk: should this worker be killed as well, less is known of the call, that is all

    # ── ending ────────────────────────────────────────────────────────────────────────────────────────────────

    def hear_task(self) -> None:
        """A runner that is used again answers, or is gone."""
        hand, task = self.hand, self.task
        if hand is None:
            return
        answer = hand.read()
        if answer is None:
            if not hand.inbox:  # hung up: how it ended is learned as its parent
                self.poll.unregister(hand.sock.fileno())
                hand.heard = False
            return
        if task is None:
            return
        task.said = {name: answer[name] for name in ("value", "raised") if name in answer}
        task.cpu, hand.spent = answer["cpu"] - hand.spent, answer["cpu"]
        task.rss = max(0, answer["rss"] - self.base)
        task.status = answer["code"] << 8
        touched = task.why is not None or task.stopped_at is not None or task.frozen
        if answer["left"] or answer["last"] or touched:
            task.pid = -1
            self.dismiss(hand)
            self.reap(task)  # what the call left running
        else:
            super().close_task(task)

    def close_task(self, task: worker.Task) -> None:
        """The runner has ended with its call, or before it could answer."""
        hand = self.hand
        if hand is not None and hand.pid == task.pid:
            answer = hand.read()
            if hand.unread and task.why is None:
                self.forget(hand)
                self.begin_again(task)
                return
            if answer is not None:
                task.said = {name: answer[name] for name in ("value", "raised") if name in answer}
            task.cpu = max(0.0, task.cpu - hand.spent)
            task.rss = max(0, task.rss - self.base)
            self.forget(hand)
        super().close_task(task)

    def begin_again(self, task: worker.Task) -> None:
        """Somebody killed a runner before it began the call: that goes to a fresh one."""
        self.task = None
        for output in task.outputs:
            output.keep()
        if self.orphaned:
            error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), "runner")
            self.not_spawned(task.key, error)  # to be run by the next daemon
        else:
            self.waiting.appendleft(self.message)

    def look_after(self) -> None:
        super().look_after()
        hand = self.hand
        if hand is not None and self.task is None and os.waitpid(hand.pid, os.WNOHANG)[0]:
            self.forget(hand)  # somebody killed it while it had nothing to do

    def dismiss(self, hand: Hand) -> None:
        """Ends a runner that has no call in hand."""
        os.kill(hand.pid, signal.SIGKILL)
        os.waitpid(hand.pid, 0)
        self.forget(hand)

    def forget(self, hand: Hand) -> None:
        """The runner has ended."""
        if hand.heard:
            self.poll.unregister(hand.sock.fileno())
        hand.sock.close()
        self.hand = None
