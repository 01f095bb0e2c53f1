"""The process in which calls are made: the only place where a user's function runs.

Forked from a worker that is warm (see `caller`), it points standard input and output at the task's files, calls, and
answers how that went. Standard library only, Python ≥ 3.8. It knows no timeout: should it die in the middle, its worker
tells how.

It has a `row` of orders before it, and writes its claims itself, together with the exits of calls of which no more is
to be said than what they returned. All else it answers, and waits until its worker has seen to it.

Calls that are to have a process each are made in children of it, one after another, and no user's code runs in itself.
After a fork whatever is written to is copied, page by page, here as well as in the child: few pages count for more than
few lines, and so it is not the worker, with its many pages, that forks for each call.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any

from . import journaling, outcome, row, wardrobe
from .birth import input_file
from .journal import FencedError
from .nest import Nest

FLUSH_FAILED = 120  # the exit code of Python when its last output could not be written


def has_children() -> bool:
    """Whether anything that was started here is left, living or dead."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def own_memory() -> int:
    """Bytes of memory that belongs to no file, shared copies included."""
    with open("/proc/self/statm", "rb", buffering=0) as file:
        _, resident, shared, *_ = file.read(256).split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def cpu_and_peak() -> tuple[float, int]:
    """CPU seconds of this process and the children that it has waited for; the largest resident size in bytes."""
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    return spent, 1024 * max(own.ru_maxrss, ended.ru_maxrss)


def wait_for_threads() -> None:
    """As a program does before it ends."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()


class Runner:
    """The inside of a runner: calls a function as it is told until it is to leave."""

    def __init__(
        self, sock: socket.socket, find: Callable[[str], Callable[..., Any]], target: str, cwd: str, result: str
    ) -> None:
        """`find` knows the functions, of which `target` is called first; `result` is where a large value goes."""
        self.sock, self.find, self.cwd, self.result = sock, find, cwd, result
        self.function = find(target)
        self.pid = os.getpid()
        self.wardrobe = wardrobe.Wardrobe()
        self.recycle: list[int | None] = [None, None]
        self.fed = False
        self.calls = 0
        self.spent = 0.0  # CPU seconds of the calls before
        self.first_memory = 0  # what the first call left behind is no creep

    def serve(self, record: journaling.Record, nest: Nest | None = None) -> None:
        """Makes one call after another until its worker is gone or somebody else has taken over; in children where
        there is a `nest` for them."""
        self.spent = cpu_and_peak()[0]
        try:
            while (order := self.next(record)) is not None:
                answer = self.make_here(order) if nest is None else self.make_apart(order, nest, record)
                if "no" not in answer:
                    self.account(answer)
                    answer["do"] = record.key
                    if record.close(answer):
                        continue
                if not self.is_heard(record, answer):
                    return
        except FencedError:
            pass

    def make_here(self, order: dict[str, Any]) -> dict[str, Any]:
        """Makes a call in this process."""
        if self.calls:
            os.chdir(self.cwd)
        self.calls += 1
        answer = self.make(order, self.prepare)
        self.close_output(answer)
        peak = cpu_and_peak()[1]
        answer["rss"], answer["last"] = peak, self.is_used_up(peak)
        return answer

    def make_apart(self, order: dict[str, Any], nest: Nest, record: journaling.Record) -> dict[str, Any]:
        """Makes a call in a child, and waits for its end."""
        try:
            self.prepare(order)
            pid = os.fork()
        except ValueError as error:  # a variable that none can be
            outcome.show(error)
            return {"code": 1, "raised": outcome.last_words(error), "rss": 0, "last": False}
        except OSError as error:
            return {"no": record.key, "errno": error.errno, "text": str(error)}
        if pid == 0:
            self.be_child(order, nest, record.files)
        _, status, usage = os.wait4(pid, 0)
        answer = nest.hear()
        answer["code"] = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        answer["rss"], answer["last"] = usage.ru_maxrss * 1024, False
        return answer

    def be_child(self, order: dict[str, Any], nest: Nest, files: list[int]) -> None:
        """The child's side of a fork, which does not come back: makes its one call."""
        status = 1
        try:
            nest.leave(files)
            self.pid = os.getpid()
            answer = self.make(order)
            wait_for_threads()
            self.close_output(answer)
            nest.say(answer)
            status = answer["code"]
        except BaseException as error:  # noqa: BLE001 - whatever it is, this process ends here
            outcome.show(error)
        finally:
            os._exit(status)

    def account(self, answer: dict[str, Any]) -> None:
        """Says of a call what it took, and whether anything that it started is left."""
        before, self.spent = self.spent, cpu_and_peak()[0]
        answer["cpu"] = round(self.spent - before, 6)
        answer["left"] = has_children()

    def next(self, record: journaling.Record) -> dict[str, Any] | None:
        """The next order from the row, claimed; None when there will be none."""
        while True:
            try:
                data, fds = row.receive(record.sock, socket.MSG_DONTWAIT if record.exit else 0)
            except BlockingIOError:
                self.rest(record)
                continue
            if not data or os.getppid() != record.worker:
                record.settle()
                return None
            if data.startswith(row.SHARED):
                words = json.loads(data)
                self.wardrobe.adopt(words["shared"])
                self.function = self.find(words["call"])
                self.recycle = words["recycle"]
                if fds:
                    record.give(fds)
                continue
            if fds:  # it is too long for the row
                with open(fds[0], "rb") as file:
                    file.seek(0)
                    data = file.read()
            order: dict[str, Any] = json.loads(data.decode())
            try:
                record.claim(order["do"])
            except OSError as error:
                self.rest(record)
                self.is_heard(record, {"no": order["do"], "errno": error.errno, "text": str(error)})
                continue
            return order

    def rest(self, record: journaling.Record) -> None:
        """There is nothing to do: the worker is told of what has ended."""
        try:
            record.settle()
        except OSError:  # no room, and none could be set aside: the worker has more patience
            self.is_heard(record, record.answer)
        self.say(b"\n")

    def is_heard(self, record: journaling.Record, answer: dict[str, Any]) -> bool:
        """Has the worker see to something, and waits until that is done; False where nobody is left to."""
        self.send(answer)
        data, fds = row.receive(self.sock)
        if fds:
            record.give(fds)
        return bool(data)

    def is_used_up(self, peak: int) -> bool:
        """Whether the next call is better made in a fresh process; `peak` is the most memory that this one ever had."""
        most, growth = self.recycle
        if self.calls == 1:
            self.first_memory = own_memory()
        if most is not None and self.calls >= most:
            return True
        # what a peak does not say has not grown: that spares a look after most calls
        return growth is not None and peak - self.first_memory > growth and own_memory() - self.first_memory > growth

    # ── talking to the worker ─────────────────────────────────────────────────────────────────────────────────

    def send(self, answer: dict[str, Any]) -> None:
        self.say(outcome.encode(answer).encode() + b"\n")

    def say(self, words: bytes) -> None:
        try:
            self.sock.sendall(words)
        except ConnectionError:
            pass  # the worker is gone: nobody is left to be told

    # ── one call ──────────────────────────────────────────────────────────────────────────────────────────────

    def make(
        self, order: dict[str, Any], prepare: Callable[[dict[str, Any]], None] = lambda _: None
    ) -> dict[str, Any]:
        """How a call went: its exit code, what it returned or raised."""
        answer: dict[str, Any] = {"code": 0}
        try:
            prepare(order)
            value = self.function(*order["args"], **order["kwargs"])
            if os.getpid() != self.pid:
                os._exit(0)  # a child that the function forked, and that came back from it
            if value is not None:
                self.keep(value, answer)
        except SystemExit as leave:
            answer["code"] = outcome.exit_code(leave)
        except outcome.UnfitError as error:
            answer["code"], answer["raised"] = 1, str(error)
            print(error, file=sys.stderr)
        except BaseException as error:  # noqa: BLE001 - a user's own, whatever it is
            answer["code"], answer["raised"] = 1, outcome.last_words(error)
            outcome.show(error)
        if os.getpid() != self.pid:
            os._exit(answer["code"])
        return answer

    def prepare(self, order: dict[str, Any]) -> None:
        """Puts its variables and its input in the place of those of the call before."""
        self.wardrobe.dress(order["env"])
        self.feed(order.get("stdin"))

    def feed(self, text: str | None) -> None:
        """Has standard input give this text, or nothing."""
        if text is None and not self.fed:
            return  # it is /dev/null already
        fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC) if text is None else input_file(text)
        os.dup2(fd, 0)
        os.close(fd)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # with nothing in its buffer of what was there before
        self.fed = text is not None

    def keep(self, value: Any, answer: dict[str, Any]) -> None:
        """Takes what the call returned into the answer, or writes it where a task's result is expected."""
        text = outcome.encode_value(value)
        if len(text) <= outcome.INLINE:
            answer["value"] = text
        else:
            with open(self.result, "w", encoding="ascii") as file:
                file.write(text)

    @staticmethod
    def close_output(answer: dict[str, Any]) -> None:
        """Writes out what is left to be; a call whose words are lost has failed."""
        try:
            outcome.flush()
        except (OSError, ValueError) as error:
            if answer["code"] == 0:
                answer["code"], answer["raised"] = FLUSH_FAILED, f"its output could not be written: {error}"


def be_born(fds: tuple[int, int, int], private: list[int], nice: int) -> None:
    """Makes a process that a worker has just forked into one of a task's: session, files and politeness.

    `fds` become its standard files, `private` are closed, being the worker's own.
    """
    os.setsid()
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    for fd in private:
        os.close(fd)
    if nice:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        except OSError:
            pass  # as far as this user may: politeness, not a condition
